//! Limits on the tokens of an expression, before it is parsed: the parser copies the left side of each call in a row,
//! and recurses on `?`, so that a short text could cost much.

use cel::parser::pratt_parser::{Lexer, TokenKind};

use super::{CompileError, MAX_DEPTH};

/// Maximum number of tokens. A node needs at least one, so this bounds the work and memory of the parser.
const MAX_TOKENS: usize = 2500;

/// Checks number and depth of the tokens.
pub(super) fn check(text: &str) -> Result<(), CompileError> {
    let mut lexer = Lexer::new(text);
    let mut chains = vec![0_usize];
    let mut conditionals = 0;
    let mut count = 0;
    loop {
        let token = lexer.lex();
        let error = |reason: String| CompileError::at_offset(text, token.start, reason);
        let is_space = matches!(token.kind, TokenKind::TokWhitespace | TokenKind::TokComment);
        count += usize::from(!is_space);
        if count > MAX_TOKENS {
            return Err(error(format!("has more than {MAX_TOKENS} words and signs")));
        }
        match token.kind {
            // A token that is no token is reported by the parser.
            TokenKind::TokEnd | TokenKind::TokError => return Ok(()),
            TokenKind::TokDot => grow(&mut chains),
            TokenKind::TokLeftParen | TokenKind::TokLeftBracket | TokenKind::TokLeftBrace => {
                grow(&mut chains);
                chains.push(0);
            }
            TokenKind::TokRightParen | TokenKind::TokRightBracket | TokenKind::TokRightBrace => {
                if chains.len() > 1 {
                    chains.pop();
                }
            }
            TokenKind::TokQuestion => conditionals += 1,
            TokenKind::TokIdent
            | TokenKind::TokReservedWord
            | TokenKind::TokWhitespace
            | TokenKind::TokComment => {}
            // An operator, a comma or a literal begins another chain.
            _ => {
                if let Some(chain) = chains.last_mut() {
                    *chain = 0;
                }
            }
        }
        let chain = chains.last().copied().unwrap_or_default();
        if chains.len() > MAX_DEPTH || chain > 2 * MAX_DEPTH || conditionals > MAX_DEPTH {
            return Err(error(format!("is deeper than {MAX_DEPTH}")));
        }
    }
}

fn grow(chains: &mut [usize]) {
    if let Some(chain) = chains.last_mut() {
        *chain += 1;
    }
}
