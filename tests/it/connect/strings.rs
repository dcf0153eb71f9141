//! Strings that try to be more than text, and the structure of a page without its text.

/// Strings that break out of HTML, of a header, of a URL or of a terminal wherever escaping is forgotten.
pub fn hostile() -> Vec<String> {
    let marks = ["'", "\"", "<", ">", "&", "`", "-->", "]]>"];
    let bodies = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "</title><svg onload=alert(1)>",
        "<!--<script>alert(1)</script>",
        "<![CDATA[<b>]]>",
        "<a href=javascript:alert(1)>x</a>",
        "<style>*{display:none}</style>",
        "<meta http-equiv=refresh content=0;url=//evil.example>",
        "<base href=//evil.example>",
        "</main></body></html>",
        "</bdi></p></form>",
    ];
    let mut all = others();
    all.extend(marks.iter().chain(&bodies).map(|text| (*text).to_owned()));
    for body in bodies {
        all.extend(marks.iter().map(|mark| format!("{mark}{body}{mark}")));
    }
    all
}

const OTHERS: &[&str] = &[
    // Templates, ours and others'.
    "{{7*7}}",
    "{{ label }}",
    "{% include \"/etc/passwd\" %}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{{label|safe}}",
    "%s%s%n",
    // Attributes.
    "\" onmouseover=\"alert(1)",
    "' autofocus onfocus='alert(1)",
    "\" style=\"position:fixed;inset:0",
    "x onclick=alert(1) y",
    "\"><input name=oauth_token value=x>",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    // Already escaped: once, twice, and partly.
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&amp;lt;b&amp;gt;",
    "&#60;b&#62;",
    "&#x3c;b&#x3e",
    "&nbsp;&shy;&zwj;",
    "%3Cscript%3E",
    "%253Cscript%253E",
    "\\u003cscript\\u003e",
    "\\x3cscript\\x3e",
    "+ADw-script+AD4-",
    // Characters that reverse or hide their neighbours.
    "\u{202e}txet neddih",
    "\u{202d}left\u{2066}right",
    "\u{2067}never closed",
    "\u{200f}\u{200e}\u{061c}",
    "\u{feff}\u{200b}\u{200d}",
    "\u{2028}line\u{2029}paragraph",
    "e\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{30a}\u{30b}\u{30c}",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "שלום <b>עולם</b>",
    "＜script＞alert(1)＜/script＞",
    "ʺ˂ʹ˃",
    // Control characters.
    "\u{0}",
    "a\u{0}<script>",
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "\u{8}\u{8}\u{8}",
    "\u{7f}\u{80}\u{9f}",
    "a\r\nset-cookie: a=b",
    "\r\n\r\n<script>alert(1)</script>",
    "\t\u{b}\u{c}",
    // Payloads for other interpreters.
    "../../admin/v1/keys",
    "//evil.example",
    "https://evil.example/",
    "'; drop table link; --",
    "\\",
    " ",
];

fn others() -> Vec<String> {
    let mut all = OTHERS.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    all.push("a".repeat(100));
    all.push("W".repeat(5000));
    all.push("<b>".repeat(33));
    all.push("\u{202e}".repeat(100));
    all.push("a\u{301}".repeat(50));
    all
}

/// The tags of a page in order, each with the names of its attributes; comments and the like count as tags.
pub fn skeleton(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, behind) = split_tag(after);
        tags.push(names(tag));
        rest = behind;
    }
    tags
}

/// Splits at the first `>` outside quotes.
fn split_tag(text: &str) -> (&str, &str) {
    let mut quote = None;
    for (place, character) in text.char_indices() {
        match (quote, character) {
            (None, '>') => return (&text[..place], &text[place + 1..]),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), c) if open == c => quote = None,
            _ => (),
        }
    }
    panic!("a tag does not end: {text}")
}

/// A tag without the values of its attributes.
fn names(tag: &str) -> String {
    let mut left = String::new();
    for (number, part) in tag.split('"').enumerate() {
        left.push_str(if number % 2 == 0 { part } else { "…" });
    }
    left
}

const ESCAPES: [(&str, &str); 5] =
    [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];

/// What a reader sees: text with its escapes decoded.
pub fn unescaped(page: &str) -> String {
    ESCAPES.iter().fold(page.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

/// The page with each escape replaced; whatever remains was never escaped.
pub fn without_escapes(page: &str) -> String {
    ESCAPES.iter().fold(page.to_owned(), |text, (escape, _)| text.replace(escape, "\u{1}"))
}

/// Whether the text would be markup if a page contained it verbatim.
pub fn needs_escape(text: &str) -> bool {
    text.contains(['<', '>', '&', '"', '\''])
}

#[test]
fn there_are_more_than_a_hundred_and_each_is_another() {
    let all: std::collections::BTreeSet<String> = hostile().into_iter().collect();
    assert!(all.len() >= 150 && all.len() == hostile().len(), "{}", all.len());
}

#[test]
fn a_page_is_its_tags_and_what_they_are_told() {
    let page = "<p class=\"a>b\">x &#60;b&#62;<br></p>";
    assert_eq!(skeleton(page), ["p class=…", "br", "/p"]);
    assert_ne!(skeleton(page), skeleton(&unescaped(page)));
    assert_ne!(skeleton("<a href=\"x\">"), skeleton("<a href=\"x\" onclick=\"y\">"));
}
