//! JSON as it was written: keys in order and duplicates kept, so that what is checked is what the upstream will read;
//! and error messages for text that is not JSON.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::panic::resume_unwind;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Deep enough for any genuine request.
pub(in crate::gateway) const MAX_DEPTH: usize = 16;

/// Larger bodies are not parsed on a thread that serves calls.
const READ_AT_ONCE: usize = 64 * 1024;

/// Limits how many large bodies are parsed at a time: a caller who goes away does not end the parsing, only the
/// reservation of its memory.
static READERS: Semaphore = Semaphore::const_new(4);

/// How much memory a body's values may take, as a multiple of its length: requests take less. A list grows by half,
/// and while it does, its values exist twice, so that the total stays below ten times.
const SPREAD: usize = 6;

/// How much memory the values of a small body may always take.
const SMALL_ROOM: usize = 64 * 1024;

/// A JSON value that keeps key order and duplicates.
#[derive(Debug)]
pub(in crate::gateway) enum Node<'a> {
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

/// Parses one value, or says what is wrong, where, and what would be right.
pub(in crate::gateway) fn read(body: &[u8]) -> Result<Node<'_>, String> {
    let mut json = serde_json::Deserializer::from_str(as_text(body)?);
    let room = Room(Cell::new((body.len() * SPREAD).max(SMALL_ROOM)));
    let read = room.deserialize(&mut json).and_then(|node| json.end().map(|()| node));
    read.map_err(|error| explain(&error))
}

/// A body without the byte order mark with which some programs begin a text in UTF-8.
pub fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

/// Runs `read` on a body: at once if it is small, otherwise on a blocking thread.
pub async fn aside<T: Send + 'static>(
    body: &Bytes,
    read: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> T {
    if body.len() <= READ_AT_ONCE {
        return read(body);
    }
    let turn = READERS.acquire().await;
    let body = body.clone();
    let reading = spawn_blocking(move || {
        let _turn = turn;
        read(&body)
    });
    reading.await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// A body as text, or an error that says where it is not UTF-8.
fn as_text(body: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(body).map_err(|error| {
        let (before, _) = body.split_at(error.valid_up_to());
        let line = before.split(|byte| *byte == b'\n').count();
        let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
        format!("not JSON: there is a byte that is not UTF-8; send text encoded as UTF-8 (line {line}, column {column})")
    })
}

/// What is wrong with JSON that could not be parsed, where, and what would be right. The parser's own words do not help
/// callers.
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
        "EOF while parsing a value" => "it ends where a value is expected",
        "expected value" | "expected ident" => {
            "a value is expected: an object, an array, a string in \"\", a number, true, false or null"
        }
        "key must be a string" => "a key must be a string in \"\"",
        "expected `:`" => "a : is expected between a key and its value",
        "expected `,` or `}`" => "a , or a } is expected after a key's value",
        "expected `,` or `]`" => "a , or a ] is expected after an item",
        "trailing comma" => "no comma may follow the last item or value",
        "trailing characters" => "nothing may follow the end of the value",
        "invalid number" => "a number must look like 10, -1 or 0.5",
        "number out of range" => "the number is too large; ids may be strings",
        "invalid escape" => "a \\ must be followed by one of \" \\ / b f n r t u",
        "control character (\\u0000-\\u001F) found while parsing a string" => {
            "a control character in a string must be escaped, such as \\n"
        }
        "lone leading surrogate in hex escape"
        | "unexpected end of hex escape"
        | "invalid unicode code point" => {
            "a \\u must be followed by four hexadecimal digits, and one half of a surrogate pair by the other half"
        }
        other => other,
    }
}

impl<'a> Node<'a> {
    /// The first value under `name`, if this is an object that has one.
    pub(in crate::gateway) fn member(&self, name: &str) -> Option<&Node<'a>> {
        let Node::Map(entries) = self else { return None };
        entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The kind of value, for messages.
    pub(in crate::gateway) fn kind(&self) -> &'static str {
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
pub(in crate::gateway) enum Path<'a> {
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

/// How many more bytes the values of a body may take.
struct Room(Cell<usize>);

impl Room {
    fn take<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(
            left.ok_or_else(|| E::custom("holds more values than any request of its length"))?,
        );
        Ok(())
    }

    fn push<T, E: serde::de::Error>(&self, list: &mut Vec<T>, item: T) -> Result<(), E> {
        if list.len() == list.capacity() {
            let more = (list.len() / 2).max(1);
            self.take(more * size_of::<T>())?;
            list.reserve_exact(more);
        }
        list.push(item);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &Room {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Room {
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

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node<'de>, E> {
        self.take(text.len())?;
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            self.push(&mut list, item)?;
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node<'de>, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry_seed(self, self)? {
            let Node::Text(key) = key else {
                return Err(A::Error::custom("a key must be a string"));
            };
            self.push(&mut map, (key, value))?;
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use std::thread::current;

    use super::*;

    /// The memory that the values take, including spare capacity of lists.
    fn bytes(node: &Node<'_>) -> usize {
        match node {
            Node::Text(Cow::Owned(text)) => text.len(),
            Node::List(items) => {
                items.capacity() * size_of::<Node<'_>>() + items.iter().map(bytes).sum::<usize>()
            }
            Node::Map(entries) => {
                let owned =
                    |key: &Cow<'_, str>| if matches!(key, Cow::Owned(_)) { key.len() } else { 0 };
                entries.capacity() * size_of::<(Cow<'_, str>, Node<'_>)>()
                    + entries.iter().map(|(key, value)| owned(key) + bytes(value)).sum::<usize>()
            }
            _ => 0,
        }
    }

    #[test]
    fn no_body_takes_much_more_memory_than_it_has_bytes() {
        for item in [
            "[]",
            "{}",
            "0",
            "\"\"",
            "[0]",
            "[[[0]]]",
            "{\"\":0}",
            "{\"a\":[0]}",
            "\"\\n\"",
            "{\"\\n\":0}",
        ] {
            let body =
                format!("[{item}{}]", format!(",{item}").repeat((1 << 20) / (item.len() + 1)));
            match read(body.as_bytes()) {
                Ok(node) => {
                    assert!(bytes(&node) <= SPREAD * body.len(), "{item}: {}", bytes(&node));
                }
                Err(said) => assert!(said.starts_with("holds more values"), "{item}: {said}"),
            }
        }
    }

    #[test]
    fn what_requests_are_made_of_has_room() {
        let ids: Vec<String> = (0..10_000)
            .map(|number| format!("\"{}\"", 1_560_000_000_000_000_000_u64 + number))
            .collect();
        let owners: Vec<String> = ids.iter().map(|id| format!("{id}:\"12\"")).collect();
        let numbers: Vec<String> =
            (0..10_000).map(|number| (10_000_000_000_u64 + number).to_string()).collect();
        let oldest: Vec<String> = (10_000..20_000).map(|id| format!("\"{id}\"")).collect();
        for body in [
            format!("[{}]", oldest.join(",")),
            format!("[{}]", ids.join(",")),
            format!("{{{}}}", owners.join(",")),
            format!("[{}]", numbers.join(",")),
            format!("[{}]", vec!["0"; 1000].join(",")),
        ] {
            assert!(read(body.as_bytes()).is_ok(), "{}", body.len());
        }
    }

    #[tokio::test]
    async fn a_large_body_is_read_on_a_thread_that_serves_nobody() {
        let reader = |bytes: usize| async move {
            aside(&Bytes::from(vec![b' '; bytes]), |body| (body.len(), current().id())).await
        };
        assert_eq!(reader(READ_AT_ONCE).await, (READ_AT_ONCE, current().id()));
        let (bytes, thread) = reader(READ_AT_ONCE + 1).await;
        assert_eq!(bytes, READ_AT_ONCE + 1);
        assert_ne!(thread, current().id());
    }
}
