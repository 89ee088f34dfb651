//! Expressions in CEL, compiled with every limit that is known before an event comes.
//!
//! The grammar is that of the `cel` crate. The syntax tree is evaluated here and not there, because every operation
//! must be charged to the event's budget, and because a missing field must be told from an error
//! (`docs/decisions/2026-12-01-expressions.md`).

mod check;
mod function;
mod literal;
mod node;
mod scan;

use std::fmt;

use cel::parser::PrattParser;

pub(crate) use function::Function;
pub(crate) use literal::Literal;
pub(crate) use node::{Arithmetic, Lookup, Node, Pattern, Root};

/// Maximum bytes of an expression.
pub const MAX_BYTES: usize = 4096;
/// Maximum depth of an expression: of brackets, of calls in a row, and of its syntax tree.
pub const MAX_DEPTH: usize = 32;
/// Maximum number of nodes in the syntax tree of an expression.
pub const MAX_NODES: usize = 1000;
/// Maximum number of `exists` and `all` in an expression.
pub const MAX_COMPREHENSIONS: usize = 4;

/// Type that an expression must have where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A condition, such as `when`.
    Bool,
    /// A number: the value of a score.
    Number,
    /// Text, a number or a boolean: the value of a label.
    Scalar,
}

/// Names that are known only with the rest of the configuration. `None`: every name is accepted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// Labels that rules set: `labels.NAME`.
    pub labels: Option<&'a [String]>,
}

/// A compiled expression. Two are equal if their texts are.
#[derive(Clone)]
pub struct Expression {
    text: String,
    pub(crate) node: Node,
}

impl Expression {
    /// Compiles a text.
    ///
    /// # Guarantees
    /// Takes time and stack in proportion to the text, of which it accepts at most [`MAX_BYTES`].
    ///
    /// # Errors
    /// The first mistake, with its line and column.
    pub fn compile(text: &str, wanted: Wanted, names: &Names<'_>) -> Result<Self, CompileError> {
        if text.len() > MAX_BYTES {
            return Err(CompileError::at(1, 1, format!("has {} bytes, more than {MAX_BYTES}", text.len())));
        }
        scan::check(text)?;
        let tree = parser().parse(text).map_err(|errors| CompileError::from_parser(&errors))?;
        let node = check::lower(&tree, wanted, names).map_err(|error| locate(text, error))?;
        Ok(Self { text: text.to_owned(), node })
    }

    /// Returns the text as written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

/// A mistake in an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct CompileError {
    /// Line in the expression, from 1.
    pub line: usize,
    /// Column in the line, in bytes, from 1.
    pub column: usize,
    /// Error text for people.
    pub reason: String,
}

impl CompileError {
    fn at(line: usize, column: usize, reason: impl Into<String>) -> Self {
        Self { line, column, reason: reason.into() }
    }

    /// Returns a mistake at a byte of a text.
    fn at_offset(text: &str, offset: usize, reason: impl Into<String>) -> Self {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        let line = before.split(|byte| *byte == b'\n').count();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        Self::at(line, 1 + before.len() - start, reason)
    }

    fn from_parser(errors: &cel::ParseErrors) -> Self {
        let Some(first) = errors.errors.first() else { return Self::at(1, 1, "is not an expression") };
        let (line, column) = first.pos;
        let position = |at: isize| usize::try_from(at).unwrap_or(1).max(1);
        let reason = first.msg.strip_prefix("Syntax error: ").unwrap_or(&first.msg);
        Self::at(position(line), position(column), reason)
    }
}

fn parser() -> PrattParser {
    // Bytes and tokens are bounded, so a text cannot reach this number of nodes but by macros.
    PrattParser::new().max_recursion_depth(32).max_expression_node_count(8 * MAX_NODES)
}

/// Finds the place of a node. The parser hands out offsets only with an error, so the text is parsed once more with
/// an error behind it: all that stands before the error gets the same numbers.
fn locate(text: &str, error: check::Error) -> CompileError {
    let check::Error { node, reason } = error;
    let offsets = parser().parse(&format!("{text}\n)")).err();
    let info =
        offsets.as_ref().and_then(|errors| errors.errors.iter().find_map(|one| one.source_info.as_ref()));
    let offset = info.and_then(|info| info.offset_for(node)).map_or(0, |(start, _)| start as usize);
    CompileError::at_offset(text, offset, reason)
}

#[cfg(test)]
mod tests;
