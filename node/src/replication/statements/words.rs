//! Cuts an administrator's statement into words, strings and signs.
//!
//! The small grammar of these statements needs no more: names and keywords, quoted strings, numbers, single
//! signs. Comments are space, but the code in versioned ones counts. Keywords are compared without case.

use crate::SqlError;
use crate::accounts::secrets::hidden;
use crate::sql::comments::uncommented;

/// One word of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A keyword, a name or a number, as written; `@@` and dots belong to it.
    Plain(String),
    /// A name in backticks.
    Quoted(String),
    /// A string in quotes.
    Text(String),
    /// A sign, such as `=` or `,`.
    Sign(char),
}

/// The words that are left.
#[derive(Clone, Debug)]
pub struct Words {
    words: std::collections::VecDeque<Word>,
    near: String,
}

impl Words {
    /// Cuts a statement; none if a quote or a comment is not closed.
    pub fn cut(sql: &str) -> Option<Words> {
        let mut words = std::collections::VecDeque::new();
        let (text, _) = uncommented(sql)?;
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let (word, taken) = match first {
                '\'' | '"' | '`' => {
                    let (text, taken) = quoted(rest, first)?;
                    (if first == '`' { Word::Quoted(text) } else { Word::Text(text) }, taken)
                }
                _ if in_name(first) => {
                    let taken = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
                    (Word::Plain(rest[..taken].to_owned()), taken)
                }
                sign => (Word::Sign(sign), sign.len_utf8()),
            };
            words.push_back(word);
            rest = rest[taken..].trim_start();
        }
        Some(Words { words, near: hidden(sql).chars().take(80).collect() })
    }

    /// The next word, without taking it.
    pub fn peek(&self) -> Option<&Word> {
        self.words.front()
    }

    /// The next word.
    pub fn pop(&mut self) -> Option<Word> {
        self.words.pop_front()
    }

    /// Whether the next word is this keyword.
    pub fn is(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Word::Plain(word)) if word.eq_ignore_ascii_case(keyword))
    }

    /// Takes the next word if it is this keyword.
    pub fn take(&mut self, keyword: &str) -> bool {
        let found = self.is(keyword);
        if found {
            self.words.pop_front();
        }
        found
    }

    /// Takes the next words if they are these keywords, all or none.
    pub fn take_all(&mut self, keywords: &[&str]) -> bool {
        let found = keywords.iter().enumerate().all(|(n, keyword)| {
            matches!(self.words.get(n), Some(Word::Plain(word)) if word.eq_ignore_ascii_case(keyword))
        });
        if found {
            self.words.drain(..keywords.len());
        }
        found
    }

    /// Takes one of two keywords.
    pub fn either(&mut self, one: &str, other: &str) -> bool {
        self.take(one) || self.take(other)
    }

    /// Takes the next word if it is this sign.
    pub fn sign(&mut self, sign: char) -> bool {
        let found = self.peek() == Some(&Word::Sign(sign));
        if found {
            self.words.pop_front();
        }
        found
    }

    /// A string.
    pub fn text(&mut self) -> Result<String, SqlError> {
        match self.pop() {
            Some(Word::Text(text)) => Ok(text),
            _ => Err(self.syntax()),
        }
    }

    /// A name, quoted or not.
    pub fn name(&mut self) -> Result<String, SqlError> {
        match self.pop() {
            Some(Word::Plain(name) | Word::Quoted(name)) => Ok(name),
            _ => Err(self.syntax()),
        }
    }

    /// A whole number, in quotes or not.
    pub fn number(&mut self) -> Result<u64, SqlError> {
        match self.pop() {
            Some(Word::Plain(digits) | Word::Text(digits)) => digits.parse().map_err(|_| self.syntax()),
            _ => Err(self.syntax()),
        }
    }

    /// `LIMIT n`, `LIMIT offset, n` or `LIMIT n OFFSET offset`, if it is there: the offset and the number, neither more than `most`.
    pub fn limit(&mut self, most: usize) -> Result<(usize, usize), SqlError> {
        let bounded = |number: u64| usize::try_from(number).unwrap_or(most).min(most);
        if !self.take("LIMIT") {
            return Ok((0, most));
        }
        let first = self.number()?;
        let (offset, limit) = if self.sign(',') {
            (first, self.number()?)
        } else if self.take("OFFSET") {
            (self.number()?, first)
        } else {
            (0, first)
        };
        Ok((bounded(offset), bounded(limit)))
    }

    /// A number of seconds, maybe with a fraction.
    pub fn seconds(&mut self) -> Result<f64, SqlError> {
        let Some(Word::Plain(mut digits) | Word::Text(mut digits)) = self.pop() else {
            return Err(self.syntax());
        };
        if self.sign('.')
            && let Some(Word::Plain(fraction)) = self.pop()
        {
            digits = format!("{digits}.{fraction}");
        }
        digits.parse().map_err(|_| self.syntax())
    }

    /// The statement has to be over.
    pub fn end(&self) -> Result<(), SqlError> {
        if self.words.is_empty() { Ok(()) } else { Err(self.syntax()) }
    }

    /// 1064 for this statement.
    pub fn syntax(&self) -> SqlError {
        SqlError::syntax(format!(
            "You have an error in your SQL syntax; check the manual that corresponds to your server version for the \
             right syntax to use near '{}'",
            self.near
        ))
    }
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '@' | '-')
}

/// The text of a quoted word, and how many bytes it took.
fn quoted(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote != '`' {
            text.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                '0' => '\0',
                other => other,
            });
        } else if c != quote {
            text.push(c);
        } else if chars.peek().is_some_and(|&(_, next)| next == quote) {
            text.push(quote);
            chars.next();
        } else {
            return Some((text, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_strings_and_signs_are_told_apart() {
        let mut words = Words::cut("change MASTER 'a''b' to x=1 /* c */ , `y``z`").unwrap();
        assert!(words.take_all(&["CHANGE", "master"]));
        assert_eq!(words.text().unwrap(), "a'b");
        assert!(words.take("to") && !words.take("to"));
        assert_eq!(words.name().unwrap(), "x");
        assert!(words.sign('='));
        assert_eq!(words.number().unwrap(), 1);
        assert!(words.sign(','));
        assert_eq!(words.name().unwrap(), "y`z");
        assert!(words.end().is_ok());
        assert!(Words::cut("open 'quote").is_none());
    }
}
