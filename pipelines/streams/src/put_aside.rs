//! Keeps input lines that could not be taken in, with their numbers and reasons, so that nothing is lost; it judges no line.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Why a line could not be put aside.
#[derive(Debug, thiserror::Error)]
pub enum PutAsideError {
    /// The operating system refused.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is full.
    #[error(
        "line {line} does not fit into {path}, which may hold {bytes_max} bytes and has {lines} bad lines; is the input of the right kind?"
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// The number of the line that did not fit.
        line: u64,
        /// The most bytes that the file may hold.
        bytes_max: u64,
        /// The lines that the file holds.
        lines: u64,
    },
}

/// A file of bad lines as NDJSON: `{"line":7,"reason":"…","text":"…"}`. It is created with the first bad line.
pub struct PutAside {
    path: PathBuf,
    bytes_max: u64,
    file: Option<BufWriter<File>>,
    bytes: u64,
    lines: u64,
}

#[derive(Serialize)]
struct BadLine<'a> {
    line: u64,
    reason: &'a str,
    text: &'a str,
}

impl PutAside {
    /// Will write at most `bytes_max` bytes to `path`, in place of what is there.
    pub fn new(path: &Path, bytes_max: u64) -> Self {
        Self { path: path.to_owned(), bytes_max, file: None, bytes: 0, lines: 0 }
    }

    /// How many lines were put aside.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Puts line number `line` (from 1) aside with the reason why it was refused.
    ///
    /// # Errors
    /// The file is full, or the system refuses to write.
    pub fn put(&mut self, line: u64, reason: &str, text: &str) -> Result<(), PutAsideError> {
        let mut json = serde_json::to_vec(&BadLine { line, reason, text }).map_err(|e| self.io(e.into()))?;
        json.push(b'\n');
        let bytes = self.bytes + json.len() as u64;
        if bytes > self.bytes_max {
            let (path, bytes_max, lines) = (self.path.clone(), self.bytes_max, self.lines);
            return Err(PutAsideError::Full { path, line, bytes_max, lines });
        }
        let written = match &mut self.file {
            Some(file) => file.write_all(&json),
            None => File::create(&self.path).and_then(|file| {
                let file = self.file.insert(BufWriter::new(file));
                file.write_all(&json)
            }),
        };
        written.map_err(|e| self.io(e))?;
        self.bytes = bytes;
        self.lines += 1;
        Ok(())
    }

    /// Syncs the file to disk and gives the number of lines in it.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn finish(mut self) -> Result<u64, PutAsideError> {
        if let Some(file) = &mut self.file {
            let synced = file.flush().and_then(|()| file.get_ref().sync_all());
            synced.map_err(|e| self.io(e))?;
        }
        Ok(self.lines)
    }

    fn io(&self, source: io::Error) -> PutAsideError {
        PutAsideError::Io { path: self.path.clone(), source }
    }
}
