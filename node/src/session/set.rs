//! SET: system variables, user variables, NAMES, and the settings that drivers send when they connect.

use rusqlite::params_from_iter;
use rusqlite::types::Value as Stored;
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::Session;
use super::isolation::{NAMES, level};
use crate::SqlError;
use crate::accounts::gate;
use crate::results::Param;
use crate::sql::coerce::to_text;
use crate::sql::collation::{CHARSETS, Collation, of_charset, of_connection};
use crate::sql::conditions;
use crate::sql::expression::Translator;
use crate::sql::parse::{Text, syntax};
use crate::sql::types::Kind;

/// What SET PERSIST would have to do: a variable that is forgotten with the node must not look as if it were kept.
const NOT_KEPT: &str = "SET PERSIST: only what the configuration says outlives the node";

/// What one part of a SET list sets.
enum Target {
    User(String),
    System { name: String, global: bool },
}

/// A variable and the value that it gets.
struct Setting {
    target: Target,
    value: Stored,
    kind: Kind,
}

impl Session {
    pub(super) fn set_statement(&mut self, text: &Text, params: &[Param]) -> Result<(), SqlError> {
        conditions::begin();
        let done = self.set_list(text, params);
        let noted = self.counted(conditions::take());
        self.warnings.extend(noted.list);
        done
    }

    fn set_list(&mut self, text: &Text, params: &[Param]) -> Result<(), SqlError> {
        let dialect = MySqlDialect {};
        let mut parser = text.parser(&dialect, 1);
        let mut settings = Vec::new();
        loop {
            self.set_item(&mut parser, params, &mut settings)?;
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        crate::sql::parse::expect_end(&mut parser)?;
        self.assign(&mut settings)
    }

    /// Sets what was asked for, in its order.
    fn assign(&mut self, settings: &mut Vec<Setting>) -> Result<(), SqlError> {
        for Setting { target, value, kind } in settings.drain(..) {
            match target {
                Target::User(name) => self.variables.set_user(&name, value, kind)?,
                Target::System { name, global } => self.set_system(&name, global, &to_text(&value, kind))?,
            }
        }
        Ok(())
    }

    /// Takes one part of the list. Values are kept, because none of them sees what the statement itself sets; NAMES and
    /// TRANSACTION have no value, and are done behind what came before them.
    fn set_item(
        &mut self,
        parser: &mut Parser<'_>,
        params: &[Param],
        settings: &mut Vec<Setting>,
    ) -> Result<(), SqlError> {
        let first = word(parser)?;
        let upper = first.to_ascii_uppercase();
        let (name, global) = match upper.as_str() {
            "NAMES" => {
                self.assign(settings)?;
                return self.set_names(parser);
            }
            "CHARACTER" | "CHARSET" => {
                self.assign(settings)?;
                if upper == "CHARACTER" {
                    word(parser)?;
                }
                return self.set_names(parser);
            }
            "TRANSACTION" => {
                self.assign(settings)?;
                return self.set_transaction(parser, None);
            }
            "PERSIST" | "PERSIST_ONLY" => return Err(SqlError::unsupported(NOT_KEPT)),
            "GLOBAL" => {
                // Whatever follows, a variable or a transaction's way, it is for all.
                gate::set_for_all(&self.rights())?;
                (word(parser)?, true)
            }
            "SESSION" | "LOCAL" => (word(parser)?, false),
            _ => (first, false),
        };
        if name.eq_ignore_ascii_case("TRANSACTION") {
            self.assign(settings)?;
            return self.set_transaction(parser, Some(global));
        }
        let target = target(parser, name, global)?;
        if !parser.consume_token(&Token::Eq) && !parser.consume_token(&Token::Assignment) {
            return Err(SqlError::syntax("SET takes name = value"));
        }
        let (value, kind) = self.set_value(parser, params)?;
        settings.push(Setting { target, value, kind });
        Ok(())
    }

    fn set_value(&mut self, parser: &mut Parser<'_>, params: &[Param]) -> Result<(Stored, Kind), SqlError> {
        let next = parser.peek_nth_token(1).token;
        if let (Token::Word(word), Token::Comma | Token::EOF | Token::SemiColon) =
            (&parser.peek_token().token, next)
            && !word.value.starts_with('@')
            && !["NULL", "TRUE", "FALSE"].contains(&word.value.to_ascii_uppercase().as_str())
        {
            let text = word.value.clone();
            parser.next_token();
            return Ok((Stored::Text(text), Kind::TEXT));
        }
        let expr = parser.parse_expr().map_err(|e| syntax(&e))?;
        self.in_snapshot(|state| {
            let catalog = self.engine.store.catalog(&state.conn)?;
            self.with_environment(&state.conn, &catalog, params, |env| {
                let mut translator = Translator::new(env);
                let piece = translator.expr(&expr)?;
                match piece.literal {
                    Some(value) => Ok((value, piece.kind)),
                    None => {
                        let sql = format!("SELECT {}", piece.sql);
                        let binds = params_from_iter(&translator.binds);
                        let value = state.conn.query_row(&sql, binds, |row| row.get(0))?;
                        Ok((value, piece.kind))
                    }
                }
            })
        })
    }

    fn set_system(&mut self, name: &str, global: bool, value: &str) -> Result<(), SqlError> {
        let bare = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
        let of_server = global || name.to_ascii_lowercase().starts_with("global.");
        if of_server || self.engine.admin.names().contains(&bare) {
            gate::set_for_all(&self.rights())?;
        } else {
            gate::set_for_session(&bare, &self.rights())?;
        }
        let inside = self.status() & super::STATUS_IN_TRANSACTION != 0;
        if bare == "sql_log_bin" && inside {
            let message = "Cannot modify @@session.sql_log_bin inside a transaction";
            return Err(SqlError::new(1694, "HY000", message));
        }
        let global = global || name.to_ascii_lowercase().starts_with("global.");
        if bare == "binlog_format" && inside && !global {
            let message = "Cannot modify @@session.binlog_format inside a transaction";
            return Err(SqlError::new(1679, "HY000", message));
        }
        let before = self.autocommit();
        self.variables.set(name, global, value)?;
        if bare == "autocommit" && !before && self.autocommit() {
            self.end(true)?;
        }
        Ok(())
    }

    fn set_names(&mut self, parser: &mut Parser<'_>) -> Result<(), SqlError> {
        let charset = value_word(parser)?.to_ascii_lowercase();
        let charset = if charset == "default" { "utf8mb4".to_owned() } else { charset };
        if !CHARSETS.contains(&charset.as_str()) {
            return Err(SqlError::new(1115, "42000", format!("Unknown character set: '{charset}'")));
        }
        for name in ["character_set_client", "character_set_connection", "character_set_results"] {
            self.variables.set(name, false, &charset)?;
        }
        let is_collate =
            matches!(parser.peek_token().token, Token::Word(w) if w.value.eq_ignore_ascii_case("COLLATE"));
        if is_collate {
            parser.next_token();
            let collation = value_word(parser)?;
            let (known, warning) = of_connection(&collation)?;
            self.warnings.extend(warning);
            return self.variables.set("collation_connection", false, &known);
        }
        // the default of the set, and where text is kept as UTF-8 all the same, the default of that
        let default = of_charset(&charset).unwrap_or_else(|_| Collation::GeneralCi.name().to_owned());
        self.variables.set("collation_connection", false, &default)
    }

    /// SET TRANSACTION. Without a scope, it is for the next transaction; `scope` says whether it is the server's.
    fn set_transaction(&mut self, parser: &mut Parser<'_>, scope: Option<bool>) -> Result<(), SqlError> {
        let mut words = Vec::new();
        while let Token::Word(word) = parser.peek_token().token {
            words.push(word.value.to_ascii_uppercase());
            parser.next_token();
        }
        match words.join(" ").as_str() {
            isolation if isolation.starts_with("ISOLATION LEVEL ") => {
                let level = level(isolation.trim_start_matches("ISOLATION LEVEL "))?;
                match scope {
                    None => self.next.level = Some(level),
                    Some(global) => self.variables.set(NAMES[0], global, level)?,
                }
                Ok(())
            }
            access @ ("READ ONLY" | "READ WRITE") => match scope {
                None => {
                    self.next.read_only = access == "READ ONLY";
                    Ok(())
                }
                Some(global) => {
                    let value = if access == "READ ONLY" { "ON" } else { "OFF" };
                    self.variables.set("transaction_read_only", global, value)
                }
            },
            other => Err(SqlError::unsupported(format_args!("SET TRANSACTION {other}"))),
        }
    }
}

fn word(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    match parser.next_token().token {
        Token::Word(word) => Ok(word.value),
        other => Err(SqlError::syntax(format!("You have an error in your SQL syntax near '{other}'"))),
    }
}

fn value_word(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    match parser.next_token().token {
        Token::Word(word) => Ok(word.value),
        Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => Ok(text),
        other => Err(SqlError::syntax(format!("You have an error in your SQL syntax near '{other}'"))),
    }
}

/// The variable that a name means; `@@global.x` comes as `@@global`, a point, and `x`.
fn target(parser: &mut Parser<'_>, name: String, global: bool) -> Result<Target, SqlError> {
    if name.starts_with('@') && !name.starts_with("@@") {
        return Ok(Target::User(name.trim_start_matches('@').to_owned()));
    }
    let mut name = name.trim_start_matches("@@").to_owned();
    while parser.consume_token(&Token::Period) {
        name = format!("{name}.{}", word(parser)?);
    }
    let scope = name.split_once('.').map(|(scope, _)| scope.to_ascii_uppercase());
    if scope.is_some_and(|scope| scope == "PERSIST" || scope == "PERSIST_ONLY") {
        return Err(SqlError::unsupported(NOT_KEPT));
    }
    Ok(Target::System { name, global })
}
