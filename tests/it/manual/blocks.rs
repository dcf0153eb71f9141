//! The fenced blocks of the manual.

use std::fs;

/// What may stand in a fenced block: commands, which are run, and what is there to be read.
const KINDS: [&str; 4] = ["sh", "json", "nginx", "text"];

/// A block of commands, and the heading that it stands under.
#[derive(Debug)]
pub struct Commands {
    pub document: String,
    pub heading: String,
    pub text: String,
}

/// Every document that may hold commands; the upstream's rules hold none.
pub fn documents() -> Vec<String> {
    let docs = fs::read_dir("docs").unwrap().map(|entry| entry.unwrap().path());
    let mut documents: Vec<String> = docs.map(|path| path.display().to_string()).collect();
    documents.retain(|path| path != "docs/engagement-api.md");
    documents.extend(
        ["README.md", "examples/README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
            .map(str::to_owned),
    );
    documents.sort_unstable();
    documents
}

/// The commands of a document, block by block, without the indentation of the list that a block stands in.
pub fn commands_of(document: &str) -> Vec<Commands> {
    let (mut found, mut heading) = (Vec::new(), String::new());
    let text = fs::read_to_string(document).unwrap();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            line.trim_start_matches('#').trim().clone_into(&mut heading);
        }
        let Some(kind) = line.trim_start().strip_prefix("```") else { continue };
        assert!(KINDS.contains(&kind), "{document}: a block of {kind:?}, which nobody checks");
        let indentation = line.len() - line.trim_start().len();
        let inside = lines.by_ref().take_while(|line| line.trim_start() != "```");
        let text: Vec<&str> = inside.map(|line| line.get(indentation..).unwrap_or("")).collect();
        if kind == "sh" {
            let (document, heading) = (document.to_owned(), heading.clone());
            found.push(Commands { document, heading, text: text.join("\n") });
        }
    }
    found
}
