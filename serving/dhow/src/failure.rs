//! Why a command ended: 1 where it failed, 2 where its arguments or input were wrong; the words say what to do.

use std::fmt;
use std::process::ExitCode;

/// A command's bad end.
#[derive(Debug)]
pub enum Failure {
    /// Arguments, configuration or input that cannot be used.
    Input(String),
    /// Something went wrong on the way.
    Failed(String),
}

impl Failure {
    /// The exit status.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Input(_) => 2,
            Self::Failed(_) => 1,
        })
    }

    /// Wrong input, in the words of `error`.
    pub fn input(error: impl fmt::Display) -> Self {
        Self::Input(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(words) | Self::Failed(words) => f.write_str(words),
        }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let more = inner.to_string();
            if !words.contains(&more) {
                words = format!("{words}: {more}");
            }
            cause = inner.source();
        }
        Self::Failed(words)
    }
}
