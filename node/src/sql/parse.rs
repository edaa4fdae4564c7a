//! Text to tokens to a syntax tree, with the few spellings of MySQL that the parser lacks turned into ones it has.
//!
//! Placeholders are numbered here (`?1`, `?2`), in the order of the text.

use sqlparser::ast::Statement;
use sqlparser::dialect::MySqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace, Word};

use super::comments::uncommented;
use super::depth::{MAX_CHAIN, measure};
use super::text_bytes::in_utf8;
use crate::SqlError;

/// How deep a statement may nest.
const RECURSION_LIMIT: usize = 100;

/// A statement as tokens.
pub struct Text {
    tokens: Vec<TokenWithSpan>,
    /// How many placeholders it has.
    pub placeholders: u16,
    /// Whether there are comments in it.
    pub commented: bool,
}

impl Text {
    /// Cuts a text into tokens. What is not UTF-8 outside of quotes is refused (1300).
    pub fn new(sql: &[u8]) -> Result<Text, SqlError> {
        let sql = in_utf8(sql)?;
        let (sql, commented) = uncommented(&sql).ok_or_else(|| {
            SqlError::syntax("You have an error in your SQL syntax: a comment is not closed")
        })?;
        let mut tokens = Tokenizer::new(&MySqlDialect {}, &sql)
            .tokenize_with_location()
            .map_err(|e| SqlError::syntax(format!("You have an error in your SQL syntax: {e}")))?;
        number_hexadecimals(&sql, &mut tokens);
        while tokens
            .last()
            .is_some_and(|t| matches!(t.token, Token::SemiColon | Token::Whitespace(_) | Token::EOF))
        {
            tokens.pop();
        }
        let mut placeholders = 0u16;
        for token in &mut tokens {
            if matches!(&token.token, Token::Word(word) if word.value.contains('\0')) {
                return Err(SqlError::syntax(
                    "You have an error in your SQL syntax: a name holds a zero byte",
                ));
            }
            if let Token::Placeholder(mark) = &mut token.token {
                placeholders = placeholders.checked_add(1).ok_or_else(|| {
                    SqlError::new(1390, "HY000", "Prepared statement contains too many placeholders")
                })?;
                *mark = format!("?{placeholders}");
            }
        }
        let mut text = Text { tokens, placeholders, commented };
        if measure(text.solid()) > MAX_CHAIN {
            let message = "Thread stack overrun: the statement chains too many operators";
            return Err(SqlError::new(1436, "HY000", message));
        }
        text.respell();
        Ok(text)
    }

    /// The first words of the statement in capitals, up to `count` of them; a symbol ends the list.
    #[must_use]
    pub fn words(&self, count: usize) -> Vec<String> {
        self.solid()
            .map_while(|token| match token {
                Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
                _ => None,
            })
            .take(count)
            .collect()
    }

    /// Whether these are its last words.
    #[must_use]
    pub fn ends_with(&self, words: &[&str]) -> bool {
        let last: Vec<&Token> = self.solid().collect();
        last.len() >= words.len()
            && last[last.len() - words.len()..].iter().zip(words).all(|(token, word)| {
                matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
            })
    }

    /// The tokens that are not blank.
    pub fn solid(&self) -> impl Iterator<Item = &Token> {
        self.tokens.iter().map(|t| &t.token).filter(|t| !matches!(t, Token::Whitespace(_)))
    }

    /// The tokens with the line and the column at which each begins, both from 1.
    pub fn placed(&self) -> impl Iterator<Item = (&Token, (u64, u64))> {
        self.tokens.iter().map(|t| (&t.token, (t.span.start.line, t.span.start.column)))
    }

    /// The tokens that are not blank, with the place where each begins and the place behind it.
    pub fn spanned(&self) -> impl Iterator<Item = (&Token, Location, Location)> {
        let solid = self.tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_)));
        solid.map(|t| (&t.token, t.span.start, t.span.end))
    }

    /// Whether there is nothing but blanks and comments.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.solid().next().is_none()
    }

    fn respell(&mut self) {
        let solid: Vec<usize> = (0..self.tokens.len())
            .filter(|&at| !matches!(self.tokens[at].token, Token::Whitespace(_)))
            .collect();
        let word = |tokens: &[TokenWithSpan], at: Option<&usize>| match at.map(|&at| &tokens[at].token) {
            Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
            _ => String::new(),
        };
        for n in 0..solid.len() {
            // Almost no token begins one of these, and a look at each word's letters costs no memory.
            if !matches!(&self.tokens[solid[n]].token, Token::Word(first) if is_respelled(&first.value)) {
                continue;
            }
            let next: Vec<String> = (0..4).map(|ahead| word(&self.tokens, solid.get(n + ahead))).collect();
            let next: Vec<&str> = next.iter().map(String::as_str).collect();
            if next == ["LOCK", "IN", "SHARE", "MODE"] {
                self.replace(&solid[n..n + 4], &[("FOR", Keyword::FOR), ("SHARE", Keyword::SHARE)]);
            } else if next[0] == "MOD" && n > 0 && !self.is(solid.get(n + 1), &Token::LParen) {
                self.tokens[solid[n]].token = Token::Mod;
            } else if ["UTC_TIMESTAMP", "UTC_DATE", "UTC_TIME"].contains(&next[0])
                && !self.is(solid.get(n + 1), &Token::LParen)
            {
                // The parser takes these words for columns.
                self.rename(solid[n], &format!("_BARE_{}", next[0]));
            }
        }
    }

    fn is(&self, at: Option<&usize>, token: &Token) -> bool {
        at.is_some_and(|&at| self.tokens[at].token == *token)
    }

    fn rename(&mut self, at: usize, name: &str) {
        self.tokens[at].token =
            Token::Word(Word { value: name.to_owned(), quote_style: None, keyword: Keyword::NoKeyword });
    }

    fn replace(&mut self, places: &[usize], words: &[(&str, Keyword)]) {
        for (n, &at) in places.iter().enumerate() {
            self.tokens[at].token = match words.get(n) {
                Some((value, keyword)) => {
                    Token::Word(Word { value: (*value).to_owned(), quote_style: None, keyword: *keyword })
                }
                None => Token::Whitespace(Whitespace::Space),
            };
        }
    }

    /// Parses the one statement that the text must be.
    pub fn statement(&self) -> Result<Statement, SqlError> {
        let dialect = MySqlDialect {};
        let mut parser = self.parser(&dialect, 0);
        let statement = parser.parse_statement().map_err(|e| syntax(&e))?;
        expect_end(&mut parser)?;
        Ok(statement)
    }

    /// A parser that starts after that many solid tokens.
    #[must_use]
    pub fn parser<'a>(&self, dialect: &'a MySqlDialect, skip: usize) -> Parser<'a> {
        let mut left = skip;
        let rest: Vec<TokenWithSpan> = self
            .tokens
            .iter()
            .skip_while(|token| {
                let blank = matches!(token.token, Token::Whitespace(_));
                if !blank && left > 0 {
                    left -= 1;
                    return true;
                }
                blank
            })
            .cloned()
            .collect();
        Parser::new(dialect).with_recursion_limit(RECURSION_LIMIT).with_tokens_with_locations(rest)
    }
}

/// Makes numbers of `0x..`, which the tokenizer takes for `x'..'`: that is bytes and nothing else.
fn number_hexadecimals(sql: &str, tokens: &mut [TokenWithSpan]) {
    let is_hex = |token: &&mut TokenWithSpan| matches!(token.token, Token::HexStringLiteral(_));
    let mut hexes = tokens.iter_mut().filter(is_hex).peekable();
    let (mut line, mut column) = (1, 1);
    for letter in sql.chars() {
        let Some(next) = hexes.peek() else { return };
        if next.span.start == (Location { line, column })
            && let Some(hex) = hexes.next()
            && letter == '0'
            && let Token::HexStringLiteral(digits) = &hex.token
        {
            hex.token = Token::Number(format!("0x{digits}"), false);
        }
        (line, column) = if letter == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
}

/// Whether [`Text::respell`] may change what begins with this word.
fn is_respelled(word: &str) -> bool {
    ["LOCK", "MOD", "UTC_TIMESTAMP", "UTC_DATE", "UTC_TIME"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

/// Refuses what follows a complete statement.
pub fn expect_end(parser: &mut Parser<'_>) -> Result<(), SqlError> {
    match parser.peek_token().token {
        Token::EOF | Token::SemiColon => Ok(()),
        other => Err(SqlError::syntax(format!("You have an error in your SQL syntax near '{other}'"))),
    }
}

/// What text processors make of quotes.
const TYPOGRAPHIC: [char; 8] = ['‘', '’', '‚', '“', '”', '„', '«', '»'];

/// Adds to an error, where the statement has typographic quotes outside of SQL's own, that they are such: what was copied from an article
/// looks right, and the server's words alone do not tell what is wrong with it.
#[must_use]
pub fn with_hint(mut error: SqlError, sql: &[u8]) -> SqlError {
    if !MISREAD.contains(&error.code) {
        return error;
    }
    let text = String::from_utf8_lossy(sql);
    let mut quote = None;
    for letter in text.chars() {
        match quote {
            Some(open) if open == letter => quote = None,
            Some(_) => {}
            None if ['\'', '"', '`'].contains(&letter) => quote = Some(letter),
            None if TYPOGRAPHIC.contains(&letter) => {
                error.message +=
                    &format!(" (hint: {letter} is a typographic quote; SQL takes ' and \" only)");
                return error;
            }
            None => {}
        }
    }
    error
}

/// What is said of a statement with quotes that are none: syntax, and names that are not known.
const MISREAD: [u16; 5] = [1049, 1054, 1064, 1146, 1235];

/// Error 1064 in the parser's words.
#[must_use]
pub fn syntax(error: &sqlparser::parser::ParserError) -> SqlError {
    SqlError::syntax(format!("You have an error in your SQL syntax: {error}"))
}
