// What can be held against the page that is shown: a list of sentences.
const found = [];
const root = document.documentElement;
const say = (is_fine, text) => is_fine || found.push(text);

say(root.scrollWidth <= root.clientWidth, `${root.scrollWidth} wide on ${root.clientWidth}`);
say(document.querySelectorAll("h1").length === 1, "not one heading");
say(root.lang === "en", "no language");
say(document.title.trim() !== "", "no title");
for (const { name } of performance.getEntriesByType("resource")) {
  // A page may be made to ask somebody else.
  say([location.origin, window.mayLoad].includes(new URL(name).origin), `loads ${name}`);
}

const parse = (color) => {
  const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
  return { r, g, b, a };
};
const over = (top, below) => {
  const mix = (name) => top[name] * top.a + below[name] * (1 - top.a);
  return { r: mix("r"), g: mix("g"), b: mix("b"), a: 1 };
};
const background = (element) => {
  if (!element) return { r: 255, g: 255, b: 255, a: 1 };
  const own = parse(getComputedStyle(element).backgroundColor);
  return own.a === 1 ? own : over(own, background(element.parentElement));
};
const luminance = ({ r, g, b }) => {
  const linear = (value) => {
    const it = value / 255;
    return it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
};

const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const text = texts.currentNode.data.trim();
  const element = texts.currentNode.parentElement;
  if (text === "" || !element.checkVisibility()) continue;
  const below = background(element);
  const ink = over(parse(getComputedStyle(element).color), below);
  const [bright, dark] = [luminance(ink), luminance(below)].sort((a, b) => b - a);
  const contrast = (bright + 0.05) / (dark + 0.05);
  say(contrast >= 4.5, `contrast ${contrast.toFixed(2)} of "${text}"`);
}
for (const text of document.querySelectorAll("svg text")) {
  if (!text.checkVisibility()) continue;
  const picture = text.ownerSVGElement;
  const frame = picture.getBoundingClientRect();
  const size = parseFloat(getComputedStyle(text).fontSize) * frame.width / picture.viewBox.baseVal.width;
  say(size >= 11, `letters of ${size.toFixed(1)} in a picture: "${text.textContent.trim()}"`);
  const { left, right } = text.getBoundingClientRect();
  say(left >= frame.left - 1 && right <= frame.right + 1, `cut off in a picture: "${text.textContent.trim()}"`);
}
return found;
