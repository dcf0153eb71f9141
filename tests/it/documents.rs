//! The documents, checked against the code: every section that comments cite exists, and no link is broken.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The files below a folder, or the path itself if it is a file.
fn files(root: &str) -> Vec<PathBuf> {
    let (mut found, mut waiting) = (Vec::new(), vec![PathBuf::from(root)]);
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push(path);
        }
    }
    found
}

fn documents() -> Vec<PathBuf> {
    let mut documents = [files("docs"), files("examples")].concat();
    documents
        .extend(["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(PathBuf::from));
    documents.retain(|document| document.extension().is_some_and(|extension| extension == "md"));
    documents
}

/// The sections that a text cites, as `reference 4.4` or several of them with commas between.
fn cited(text: &str) -> Vec<String> {
    let is_number = |text: &&str| text.starts_with(|c: char| c.is_ascii_digit());
    let sections = |after: &str| -> Vec<String> {
        let words = after.split([' ', ',']).filter(|word| !word.is_empty()).take_while(is_number);
        words.map(|word| word.trim_end_matches(|c: char| !c.is_ascii_digit()).to_owned()).collect()
    };
    text.split("reference ").skip(1).flat_map(sections).collect()
}

#[test]
fn what_comments_cite_of_the_upstreams_rules_is_there() {
    let reference = fs::read_to_string("docs/engagement-api.md").unwrap();
    let headings: BTreeSet<&str> = reference
        .lines()
        .filter_map(|line| {
            line.strip_prefix('#')?.trim_start_matches('#').split_whitespace().next()
        })
        .map(|word| word.trim_end_matches('.'))
        .collect();
    let mut all = 0;
    for path in [files("src"), files("tests")].concat() {
        if path.extension().is_none_or(|extension| extension != "rs")
            || path.ends_with("documents.rs")
        {
            continue;
        }
        for section in cited(&fs::read_to_string(&path).unwrap()) {
            all += 1;
            assert!(headings.contains(&*section), "{}: reference {section}", path.display());
        }
    }
    assert!(all > 80, "{all}");
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut all = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()) {
            if link.contains("://") {
                continue;
            }
            all += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = document.parent().unwrap().join(file);
            let target = if file.is_empty() { &document } else { &target };
            assert!(target.exists(), "{}: {link}", document.display());
            assert!(
                anchor.is_empty() || has_heading(target, anchor),
                "{}: {link}",
                document.display()
            );
        }
    }
    assert!(all > 5, "{all}");
}

/// Whether a document has a heading to which Git forges give this anchor.
fn has_heading(document: &Path, anchor: &str) -> bool {
    let text = fs::read_to_string(document).unwrap();
    text.lines().filter(|line| line.starts_with('#')).any(|heading| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>() == anchor
    })
}

#[test]
fn the_manual_lists_each_cause_in_its_words() {
    let manual = fs::read_to_string("docs/admin-api.md").unwrap();
    for cause in countersign::model::Cause::ALL {
        let row = format!("| `{}` | {} |", cause.name(), cause.what());
        assert!(manual.contains(&row), "not in docs/admin-api.md: {row}");
    }
}
