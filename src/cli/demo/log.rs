//! The log of a demo: a file in its folder, since it would push what the demo prints out of sight.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Once the file would be larger, it begins anew.
const MOST: u64 = 16 * 1024 * 1024;

pub(super) struct DemoLog {
    file: File,
    size: u64,
    most: u64,
}

impl DemoLog {
    /// Begins a new file, which replaces the last run's.
    pub(super) fn begin(path: &Path) -> io::Result<DemoLog> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(path)?;
        file.set_len(0)?;
        Ok(DemoLog { file, size: 0, most: MOST })
    }
}

impl Write for DemoLog {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.size + lines.len() as u64 > self.most {
            self.file.set_len(0)?;
            self.size = 0;
        }
        let written = self.file.write(lines)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_so_much_and_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "of the last run").unwrap();
        let mut log = DemoLog { most: 8, ..DemoLog::begin(&path).unwrap() };
        for (line, kept) in [("one\n", "one\n"), ("two\n", "one\ntwo\n"), ("three\n", "three\n")] {
            log.write_all(line.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), kept);
        }
    }
}
