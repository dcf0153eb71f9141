//! JSON as it was written: keys in order and duplicates kept, so that what is checked is what the upstream will read;
//! and what is said of text that is no JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

/// Enough for any request; a body that needs more is not meant well.
pub(super) const MAX_DEPTH: usize = 16;

/// A JSON value that forgets nothing.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Null,
    Bool,
    /// A number without fraction or exponent that fits 64 bits and is not negative.
    Natural(u64),
    /// Any other number.
    Number,
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// Reads one value, or says what is wrong, where, and what would be right.
pub(super) fn read(body: &[u8]) -> Result<Node<'_>, String> {
    serde_json::from_str(as_text(body)?).map_err(|error| explain(&error))
}

/// A body as text, or where it is none.
fn as_text(body: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(body).map_err(|error| {
        let (before, _) = body.split_at(error.valid_up_to());
        let line = before.split(|it| *it == b'\n').count();
        let column = before.rsplit(|it| *it == b'\n').next().map_or(0, <[u8]>::len) + 1;
        format!("not JSON: a byte that is no UTF-8 stands there; send text encoded as UTF-8 (line {line}, column {column})")
    })
}

/// What is wrong with JSON that could not be read, where, and what would be right. The parser's own words are for
/// programmers of parsers.
pub fn explain(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(&*said, |(said, _)| said);
    let at = match error.line() {
        0 => String::new(),
        line => format!(" (line {line}, column {})", error.column()),
    };
    match error.classify() {
        Category::Syntax | Category::Eof if said == "recursion limit exceeded" => {
            format!("nested deeper than {MAX_DEPTH} levels{at}")
        }
        Category::Syntax | Category::Eof => format!("not JSON: {}{at}", in_our_words(said)),
        Category::Data | Category::Io => format!("{said}{at}"),
    }
}

fn in_our_words(said: &str) -> &str {
    match said {
        "EOF while parsing an object" => "it ends within an object; close it with }",
        "EOF while parsing a list" => "it ends within an array; close it with ]",
        "EOF while parsing a string" => "it ends within a string; close it with \"",
        "EOF while parsing a value" => "it ends where a value must stand",
        "expected value" | "expected ident" => {
            "there must be a value: an object, an array, a string in \"\", a number, true, false or null"
        }
        "key must be a string" => "a key must be a string in \"\"",
        "expected `:`" => "between a key and its value there must be a :",
        "expected `,` or `}`" => "after a key's value there must be a , or a }",
        "expected `,` or `]`" => "after an item there must be a , or a ]",
        "trailing comma" => "after the last item or value there must be no comma",
        "trailing characters" => "after the end of the value there must be nothing",
        "invalid number" => "a number must look like 10, -1 or 0.5",
        "number out of range" => "the number is too large; ids may be strings",
        "invalid escape" => "after a \\ there must be one of \" \\ / b f n r t u",
        "control character (\\u0000-\\u001F) found while parsing a string" => {
            "a control character in a string must be escaped, such as \\n"
        }
        "lone leading surrogate in hex escape"
        | "unexpected end of hex escape"
        | "invalid unicode code point" => {
            "after a \\u there must be four hexadecimal digits, and after one half of a pair the other half"
        }
        other => other,
    }
}

impl<'a> Node<'a> {
    /// The first value under `name`, if this is an object that has one.
    pub(super) fn member(&self, name: &str) -> Option<&Node<'a>> {
        let Node::Map(entries) = self else { return None };
        entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool => "a boolean",
            Node::Natural(_) | Node::Number => "a number",
            Node::Text(_) => "a string",
            Node::List(_) => "an array",
            Node::Map(_) => "an object",
        }
    }
}

/// A place in a body. It becomes a JSON pointer (RFC 6901) only when something is wrong there.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(of, key) => write!(f, "{of}/{}", key.replace('~', "~0").replace('/', "~1")),
            Path::Index(of, index) => write!(f, "{of}/{index}"),
        }
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Natural(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node<'de>, E> {
        Ok(Node::Number)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::with_capacity(8);
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node<'de>, A::Error> {
        let mut map = Vec::with_capacity(4);
        while let Some((Key(key), value)) = entries.next_entry()? {
            map.push((key, value));
        }
        Ok(Node::Map(map))
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        match Node::deserialize(deserializer)? {
            Node::Text(text) => Ok(Key(text)),
            _ => Err(serde::de::Error::custom("a key must be a string")),
        }
    }
}
