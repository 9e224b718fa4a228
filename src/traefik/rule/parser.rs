//! The parser of rules.

use super::{Expression, Matcher, Mistake};

/// How deep parentheses and `!` may be nested: far deeper than anybody writes.
const DEEPEST: usize = 100;

/// Reads a rule, whatever its matchers are.
///
/// # Errors
///
/// The first mistake of its grammar.
pub fn parse(rule: &str) -> Result<Expression, Mistake> {
    let mut parser = Parser {
        rule,
        at: 0,
        depth: 0,
    };
    parser.space(true)?;
    let expression = parser.or()?;
    parser.space(true)?;
    match parser.rest() {
        "" => Ok(expression),
        rest if rest.starts_with(')') => parser.mistake("this `)` closes nothing"),
        rest if rest.starts_with(['&', '|']) && ends_a_line(&rule[..parser.at]) => parser
            .mistake("a rule can't go on in a new line before this: end the line before with it"),
        _ => parser.mistake("the rule can't go on so: matchers are joined by `&&` or `||`"),
    }
}

fn ends_a_line(text: &str) -> bool {
    text.trim_end_matches([' ', '\t']).ends_with('\n')
}

struct Parser<'a> {
    rule: &'a str,
    at: usize,
    depth: usize,
}

type Parsed<T> = Result<T, Mistake>;

impl<'a> Parser<'a> {
    fn or(&mut self) -> Parsed<Expression> {
        self.joined("||", Self::and, Expression::Or)
    }

    fn and(&mut self) -> Parsed<Expression> {
        self.joined("&&", Self::unary, Expression::And)
    }

    fn joined(
        &mut self,
        by: &str,
        part: fn(&mut Self) -> Parsed<Expression>,
        all: fn(Vec<Expression>) -> Expression,
    ) -> Parsed<Expression> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.takes(by)? {
            parts.push(part(self)?);
        }
        Ok(match parts.len() {
            1 => parts.swap_remove(0),
            _ => all(parts),
        })
    }

    fn unary(&mut self) -> Parsed<Expression> {
        if self.depth > DEEPEST {
            return self.mistake("this is nested too deep");
        }
        self.depth += 1;
        let parsed = self.nested();
        self.depth -= 1;
        parsed
    }

    fn nested(&mut self) -> Parsed<Expression> {
        let begin = self.at;
        if self.takes("!")? {
            return Ok(Expression::Not(Box::new(self.unary()?)));
        }
        if self.takes("(")? {
            let inner = self.or()?;
            self.closes(begin)?;
            return Ok(inner);
        }
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let rest = self.rest();
        let name = &rest[..rest.find(|c| !word(c)).unwrap_or(rest.len())];
        if name.is_empty() {
            return self.mistake("a matcher is missing here, such as ``Host(`a`)``");
        }
        self.at += name.len();
        self.space(false)?;
        let open = self.at;
        if !self.takes("(")? {
            self.at = begin;
            return self.mistake("this is no matcher: it has no values in parentheses");
        }
        let mut values = Vec::new();
        loop {
            if self.rest().starts_with(')') {
                break;
            }
            values.push(self.text()?);
            self.space(false)?;
            if !self.takes(",")? {
                break;
            }
        }
        let name = name.to_owned();
        self.closes(open)?;
        Ok(Expression::Matcher(Matcher {
            name,
            values,
            place: begin..self.rule[..self.at].trim_end().len(),
        }))
    }

    /// The end of what was opened there.
    fn closes(&mut self, open: usize) -> Parsed<()> {
        if self.rest().starts_with(')') {
            self.at += 1;
            // Go ends what it reads at the end of a line, except after what has to go on.
            return self.space(false);
        }
        if self.rest().trim().is_empty() {
            self.at = open;
            return self.mistake("this `(` is not closed");
        }
        self.mistake("a `)` is missing before this")
    }

    /// A value, in backticks or in quotation marks.
    fn text(&mut self) -> Parsed<String> {
        let begin = self.at;
        let rest = self.rest();
        if let Some(rest) = rest.strip_prefix('`') {
            let Some((text, _)) = rest.split_once('`') else {
                return self.mistake("this backtick is not closed");
            };
            self.at += text.len() + 2;
            return Ok(text.replace('\r', ""));
        }
        let Some(rest) = rest.strip_prefix('"') else {
            return self.mistake("a value stands in backticks here, such as `a`");
        };
        let mut text = String::new();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 2;
                    return Ok(text);
                }
                '\n' => break,
                '\\' => {
                    let Some((_, escaped)) = chars.next() else {
                        break;
                    };
                    let Some(meant) = unescaped(escaped) else {
                        self.at += at + 1;
                        return self.mistake(
                            "Go has no such escape; in backticks a backslash is a backslash",
                        );
                    };
                    text.push(meant);
                }
                c => text.push(c),
            }
        }
        self.at = begin;
        self.mistake("this quotation mark is not closed")
    }

    fn takes(&mut self, token: &str) -> Parsed<bool> {
        let is = self.rest().starts_with(token);
        if is {
            self.at += token.len();
            self.space(true)?;
        }
        Ok(is)
    }

    /// Goes over white space and comments; over the end of a line only where the rule goes on after it.
    fn space(&mut self, lines: bool) -> Parsed<()> {
        loop {
            let rest = self.rest();
            let space = |c: char| matches!(c, ' ' | '\t' | '\r') || lines && c == '\n';
            let trimmed = rest.trim_start_matches(space);
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                let Some(end) = trimmed.find("*/") else {
                    return self.mistake("this comment is not closed");
                };
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.rule[self.at..]
    }

    fn mistake<T>(&self, problem: &str) -> Parsed<T> {
        Err(Mistake {
            at: self.at,
            problem: problem.to_owned(),
        })
    }
}

/// The character of an escape of Go's that is one letter long. Those of numbers are nobody's in a rule.
fn unescaped(escaped: char) -> Option<char> {
    Some(match escaped {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' | '"' => escaped,
        _ => return None,
    })
}
