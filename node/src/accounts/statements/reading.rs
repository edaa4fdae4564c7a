//! Reads the statements about accounts, in MySQL's words and in MariaDB's.

use super::{Credential, Given, Object, Options, Statement, Subject, name_of};
use crate::SqlError;
use crate::accounts::password::Plugin;
use crate::accounts::privileges::{Level, Privilege, Privileges};
use crate::accounts::{Name, Requirement};
use crate::replication::statements::words::{Word, Words};
use database::Secret;

/// The most accounts that one statement names.
const MAX_SUBJECTS: usize = 1000;

/// Where a statement is read: what its shorter names mean.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// What CURRENT_USER means.
    pub current_user: Name,
    /// The default database, or empty.
    pub database: &'a str,
}

/// Whether a statement with these first words (in capital letters) is about accounts.
#[must_use]
pub fn is_about_accounts(words: &[&str]) -> bool {
    matches!(
        words,
        ["CREATE" | "ALTER" | "DROP" | "RENAME", "USER", ..]
            | ["GRANT" | "REVOKE", ..]
            | ["SET", "PASSWORD", ..]
            | ["FLUSH", "PRIVILEGES", ..]
            | ["SHOW", "GRANTS", ..]
            | ["SHOW", "CREATE", "USER", ..]
            | ["CREATE" | "DROP" | "SET", "ROLE", ..]
            | ["SET", "DEFAULT", "ROLE", ..]
    )
}

/// Reads a statement that is about accounts.
pub fn read(sql: &str, place: &Place<'_>) -> Result<Statement, SqlError> {
    let unreadable =
        || SqlError::syntax("You have an error in your SQL syntax: a quote or a comment is not closed");
    let words = Words::cut(sql).ok_or_else(unreadable)?;
    let mut reading = Reading { words, place };
    let statement = reading.statement()?;
    reading.words.end()?;
    Ok(statement)
}

struct Reading<'a> {
    words: Words,
    place: &'a Place<'a>,
}

impl Reading<'_> {
    fn statement(&mut self) -> Result<Statement, SqlError> {
        let words = &mut self.words;
        if words.take_all(&["CREATE", "USER"]) {
            let if_not_exists = words.take_all(&["IF", "NOT", "EXISTS"]);
            let (subjects, options) = self.subjects_and_options()?;
            return Ok(Statement::Create { if_not_exists, subjects, options });
        }
        if words.take_all(&["ALTER", "USER"]) {
            let if_exists = words.take_all(&["IF", "EXISTS"]);
            let (subjects, options) = self.subjects_and_options()?;
            return Ok(Statement::Alter { if_exists, subjects, options });
        }
        if words.take_all(&["DROP", "USER"]) {
            let if_exists = words.take_all(&["IF", "EXISTS"]);
            return Ok(Statement::Drop { if_exists, names: self.names()? });
        }
        if words.take_all(&["RENAME", "USER"]) {
            return self.rename();
        }
        if words.take_all(&["SET", "PASSWORD"]) {
            return self.set_password();
        }
        if words.take_all(&["FLUSH", "PRIVILEGES"]) {
            return Ok(Statement::FlushPrivileges);
        }
        if words.take_all(&["SHOW", "GRANTS"]) {
            let named = words.take("FOR");
            let name = if named { self.name()? } else { self.place.current_user.clone() };
            if self.words.is("USING") {
                return Err(SqlError::unsupported("roles"));
            }
            return Ok(Statement::ShowGrants(name));
        }
        if words.take_all(&["SHOW", "CREATE", "USER"]) {
            let over = words.end().is_ok();
            let name = if over { self.place.current_user.clone() } else { self.name()? };
            return Ok(Statement::ShowCreate(name));
        }
        if words.take("GRANT") {
            return self.grant();
        }
        if words.take("REVOKE") {
            return self.revoke();
        }
        Err(SqlError::unsupported("roles"))
    }

    fn rename(&mut self) -> Result<Statement, SqlError> {
        let mut pairs = Vec::new();
        loop {
            let from = self.name()?;
            if !self.words.take("TO") {
                return Err(self.words.syntax());
            }
            pairs.push((from, self.name()?));
            if !self.more(pairs.len())? {
                return Ok(Statement::Rename(pairs));
            }
        }
    }

    /// Whether a comma promises another one of a list.
    fn more(&mut self, count: usize) -> Result<bool, SqlError> {
        let more = self.words.sign(',');
        if more && count >= MAX_SUBJECTS {
            return Err(SqlError::unsupported(format_args!(
                "more than {MAX_SUBJECTS} accounts in one statement"
            )));
        }
        Ok(more)
    }

    /// `SET PASSWORD [FOR user] = 'text' | PASSWORD('text')`. MariaDB's plain text is a kept form, MySQL's a password;
    /// what looks like a kept form is taken for one.
    fn set_password(&mut self) -> Result<Statement, SqlError> {
        let name = if self.words.take("FOR") { self.name()? } else { self.place.current_user.clone() };
        if !self.words.sign('=') {
            return Err(self.words.syntax());
        }
        let given = match self.words.take("PASSWORD") {
            true => self.in_parentheses()?,
            false => kept_or_clear(self.words.text()?),
        };
        let plugin = match &given {
            Given::Kept(_) => Some(Plugin::Native),
            Given::Clear(_) | Given::Nothing => None,
        };
        if self.words.is("REPLACE") || self.words.is("RETAIN") {
            return Err(SqlError::unsupported("SET PASSWORD with REPLACE or RETAIN"));
        }
        Ok(Statement::SetPassword(Subject { name, credential: Some(Credential { plugin, given }) }))
    }

    fn in_parentheses(&mut self) -> Result<Given, SqlError> {
        if !self.words.sign('(') {
            return Err(self.words.syntax());
        }
        let text = self.words.text()?;
        if !self.words.sign(')') {
            return Err(self.words.syntax());
        }
        Ok(Given::Clear(Secret::from(text)))
    }

    /// `'user'@'host'`, with any quotes or none; `CURRENT_USER`.
    fn name(&mut self) -> Result<Name, SqlError> {
        let (user, host) = match self.words.pop() {
            Some(Word::Plain(text)) => {
                let function = text.to_ascii_uppercase();
                if matches!(function.as_str(), "CURRENT_USER" | "USER") {
                    let called = self.words.sign('(');
                    if called && !self.words.sign(')') {
                        return Err(self.words.syntax());
                    }
                    if called || function == "CURRENT_USER" {
                        return Ok(self.place.current_user.clone());
                    }
                }
                match text.split_once('@') {
                    Some((user, "")) => (user.to_owned(), Some(self.host()?)),
                    Some((user, host)) => (user.to_owned(), Some(host.to_owned())),
                    None => (text, self.host_behind()?),
                }
            }
            Some(Word::Quoted(user) | Word::Text(user)) => (user, self.host_behind()?),
            _ => return Err(self.words.syntax()),
        };
        name_of(&user, host.as_deref())
    }

    /// The host behind a name that ended with its quote.
    fn host_behind(&mut self) -> Result<Option<String>, SqlError> {
        let host = match self.words.peek() {
            Some(Word::Plain(text)) => text.strip_prefix('@').map(str::to_owned),
            _ => None,
        };
        let Some(host) = host else { return Ok(None) };
        self.words.pop();
        if host.is_empty() { self.host().map(Some) } else { Ok(Some(host)) }
    }

    fn host(&mut self) -> Result<String, SqlError> {
        match self.words.pop() {
            Some(Word::Quoted(host) | Word::Text(host)) => Ok(host),
            _ => Err(self.words.syntax()),
        }
    }

    fn names(&mut self) -> Result<Vec<Name>, SqlError> {
        let mut names = vec![self.name()?];
        while self.more(names.len())? {
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn subjects(&mut self) -> Result<Vec<Subject>, SqlError> {
        let mut subjects = Vec::new();
        loop {
            let name = self.name()?;
            let credential = if self.words.take("IDENTIFIED") { Some(self.credential()?) } else { None };
            subjects.push(Subject { name, credential });
            if !self.more(subjects.len())? {
                return Ok(subjects);
            }
        }
    }

    fn subjects_and_options(&mut self) -> Result<(Vec<Subject>, Options), SqlError> {
        Ok((self.subjects()?, self.options()?))
    }

    /// What stands behind IDENTIFIED.
    fn credential(&mut self) -> Result<Credential, SqlError> {
        if self.words.take("BY") {
            if self.words.take("PASSWORD") {
                return kept(Plugin::Native, self.words.text()?);
            }
            if self.words.is("RANDOM") {
                return Err(SqlError::unsupported("IDENTIFIED BY RANDOM PASSWORD"));
            }
            let given = Given::Clear(Secret::from(self.words.text()?));
            return Ok(Credential { plugin: None, given });
        }
        if !self.words.either("WITH", "VIA") {
            return Err(self.words.syntax());
        }
        let plugin = match self.words.pop() {
            Some(Word::Plain(name) | Word::Quoted(name) | Word::Text(name)) => Plugin::of_name(&name)?,
            _ => return Err(self.words.syntax()),
        };
        let clear = |given| Credential { plugin: Some(plugin), given };
        if self.words.take("BY") {
            return Ok(clear(Given::Clear(Secret::from(self.words.text()?))));
        }
        if self.words.either("AS", "USING") {
            return match self.words.take("PASSWORD") {
                true => Ok(clear(self.in_parentheses()?)),
                false => kept(plugin, self.words.text()?),
            };
        }
        if self.words.is("OR") {
            return Err(SqlError::unsupported("an account with several ways to log in"));
        }
        Ok(clear(Given::Nothing))
    }

    /// REQUIRE and ACCOUNT; what else there is in MySQL is refused by name.
    fn options(&mut self) -> Result<Options, SqlError> {
        let mut options = Options::default();
        loop {
            if self.words.take("REQUIRE") {
                options.requires = Some(match self.words.pop() {
                    Some(Word::Plain(word)) if word.eq_ignore_ascii_case("NONE") => Requirement::None,
                    Some(Word::Plain(word)) if word.eq_ignore_ascii_case("SSL") => Requirement::Ssl,
                    Some(Word::Plain(word)) if word.eq_ignore_ascii_case("X509") => Requirement::X509,
                    Some(Word::Plain(word)) => {
                        return Err(SqlError::unsupported(format_args!("REQUIRE {word}")));
                    }
                    _ => return Err(self.words.syntax()),
                });
            } else if self.words.take("ACCOUNT") {
                let lock = self.words.take("LOCK");
                if !lock && !self.words.take("UNLOCK") {
                    return Err(self.words.syntax());
                }
                options.locked = Some(lock);
            } else {
                break;
            }
        }
        for word in ["PASSWORD", "DEFAULT", "COMMENT", "ATTRIBUTE", "FAILED_LOGIN_ATTEMPTS"] {
            if self.words.is(word) {
                return Err(SqlError::unsupported(format_args!("{word} of an account")));
            }
        }
        Ok(options)
    }

    fn grant(&mut self) -> Result<Statement, SqlError> {
        let privileges = self.privileges("TO")?;
        let on = self.object()?;
        let mut privileges = of_level(privileges, &on)?;
        if !self.words.take("TO") {
            return Err(self.words.syntax());
        }
        let (subjects, options) = self.subjects_and_options()?;
        if self.words.take_all(&["WITH", "GRANT", "OPTION"]) {
            privileges = privileges.with(Privilege::GrantOption);
        }
        if self.words.is("WITH") || self.words.is("AS") {
            return Err(SqlError::unsupported("GRANT with limits or AS"));
        }
        Ok(Statement::Grant { privileges, on, subjects, options })
    }

    fn revoke(&mut self) -> Result<Statement, SqlError> {
        self.words.take_all(&["IF", "EXISTS"]);
        let mut both = self.words.clone();
        if both.take("ALL") {
            both.take("PRIVILEGES");
            if both.sign(',') && both.take_all(&["GRANT", "OPTION", "FROM"]) {
                self.words = both;
                return Ok(Statement::RevokeAll(self.names()?));
            }
        }
        let privileges = self.privileges("FROM")?;
        let on = self.object()?;
        let privileges = of_level(privileges, &on)?;
        if !self.words.take("FROM") {
            return Err(self.words.syntax());
        }
        Ok(Statement::Revoke { privileges, on, names: self.names()? })
    }

    /// The list of privileges with the ON behind it; none for ALL. Where `end` comes instead, it was a list of roles.
    fn privileges(&mut self, end: &str) -> Result<Option<Privileges>, SqlError> {
        let mut set = Privileges::NONE;
        let mut all = false;
        loop {
            let mut name = String::new();
            while let Some(Word::Plain(word)) = self.words.peek() {
                let word = word.to_ascii_uppercase();
                if word == "ON" {
                    break;
                }
                if word == end {
                    return Err(SqlError::unsupported("roles"));
                }
                name = if name.is_empty() { word } else { name + " " + &word };
                self.words.pop();
            }
            match name.as_str() {
                "ALL" | "ALL PRIVILEGES" => all = true,
                "USAGE" => {}
                "PROXY" => return Err(SqlError::unsupported("GRANT PROXY")),
                name => match Privilege::of_name(name) {
                    Some(privilege) => set = set.with(privilege),
                    None if matches!(self.words.peek(), Some(Word::Text(_) | Word::Quoted(_))) => {
                        return Err(SqlError::unsupported("roles"));
                    }
                    None => return Err(self.words.syntax()),
                },
            }
            if self.words.sign('(') {
                return Err(SqlError::unsupported("privileges of columns"));
            }
            if self.words.take("ON") {
                return Ok((!all).then_some(set));
            }
            if !self.words.sign(',') {
                return Err(self.words.syntax());
            }
        }
    }

    /// `*.*`, `database.*`, `database.table`, or, in the default database, `*` and `table`.
    fn object(&mut self) -> Result<Object, SqlError> {
        self.words.take("TABLE");
        if self.words.is("FUNCTION") || self.words.is("PROCEDURE") {
            return Err(SqlError::unsupported("privileges of routines"));
        }
        let default = || match self.place.database {
            "" => Err(SqlError::new(1046, "3D000", "No database selected")),
            database => Ok(database.to_owned()),
        };
        if self.words.sign('*') {
            if !self.words.sign('.') {
                return default().map(Object::Database);
            }
            return if self.words.sign('*') { Ok(Object::Everything) } else { Err(self.words.syntax()) };
        }
        let first = self.words.name()?;
        if !self.words.sign('.') {
            return default().map(|database| Object::Table(database, first));
        }
        if self.words.sign('*') {
            return Ok(Object::Database(first));
        }
        self.words.name().map(|table| Object::Table(first, table))
    }
}

fn kept(plugin: Plugin, kept: String) -> Result<Credential, SqlError> {
    plugin.check_form(&kept)?;
    Ok(Credential { plugin: Some(plugin), given: Given::Kept(kept) })
}

fn kept_or_clear(text: String) -> Given {
    match text.starts_with('*') && Plugin::Native.check_form(&text).is_ok() {
        true => Given::Kept(text),
        false => Given::Clear(Secret::from(text)),
    }
}

/// The privileges for that object: ALL means what can be on it, and what cannot is an error.
fn of_level(privileges: Option<Privileges>, on: &Object) -> Result<Privileges, SqlError> {
    let level = on.level();
    let Some(set) = privileges else { return Ok(Privileges::all(level)) };
    if set.iter().all(|privilege| privilege.level() <= level) {
        return Ok(set);
    }
    Err(match level {
        Level::Table => {
            let message =
                "Illegal GRANT/REVOKE command; please consult the manual to see which privileges can be used";
            SqlError::new(1144, "42000", message)
        }
        _ => SqlError::new(1221, "HY000", "Incorrect usage of DB GRANT and GLOBAL PRIVILEGES"),
    })
}
