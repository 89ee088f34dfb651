//! Formats an error with all of its causes as one text.

use std::error::Error;

/// Returns the error and its causes, outermost first.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Writes the error and its causes on one line; a cause with the same text as the one before it is left out.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<_> = causes(error).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
