//! The files of the articles: what is typed where, and what must be printed.
//!
//! ```text
//! # a remark, or `# node1 = 192.168.1.10`: where the article has its first server
//! >>> node1 sql [soon]          also: my.cnf, restart, stop, shell; and python, evensum, which are nobody's
//! what is typed
//! --- mariadb types             where MariaDB's words are others (nothing: it is left out there)
//! --- prints                    what both print, all of it
//! --- bundled prints            what bundled nodes print, all of it
//! --- both print                lines that both print, maybe among others
//! ```
//! In what is expected `…` stands for anything within a line, and runs of spaces and dashes count as one, because a table is
//! as wide as its widest cell.

use super::stage::Make;
use std::path::Path;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Options(usize),
    Restart(usize),
    Stop(usize),
    Sql(usize),
    Shell(usize),
    Python,
    Evensum,
}

/// One thing that is done, and what it prints.
pub struct Block {
    pub verb: Verb,
    pub soon: bool,
    pub title: String,
    pub line: usize,
    remarks: String,
    body: String,
    mariadb: Option<String>,
    prints: Option<String>,
    bundled: Option<String>,
    both: Option<String>,
}

pub struct Script {
    head: String,
    /// The addresses of the article.
    pub hosts: Vec<String>,
    /// Whether the article leaves it to its reader to fill in what was recorded.
    pub recorded: bool,
    pub blocks: Vec<Block>,
}

fn number(word: &str) -> usize {
    word.strip_prefix("node").and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("'{word}'"))
}

impl Script {
    pub fn read(path: &Path) -> Script {
        let text = std::fs::read_to_string(path).unwrap();
        let mut script =
            Script { head: String::new(), hosts: Vec::new(), recorded: false, blocks: Vec::new() };
        let mut remarks = String::new();
        let mut part = "";
        for (line, text) in text.lines().enumerate().map(|(n, text)| (n + 1, text)) {
            if let Some(title) = text.strip_prefix(">>> ") {
                script.blocks.push(Block::new(title, line, std::mem::take(&mut remarks)));
                part = "";
            } else if let Some(name) = text.strip_prefix("--- ") {
                part = name;
                let block = script.blocks.last_mut().unwrap();
                *block.part(part).unwrap() = Some(String::new());
            } else if script.blocks.is_empty() {
                if let Some((_, host)) = text.strip_prefix("# node").and_then(|rest| rest.split_once(" = ")) {
                    script.hosts.push(host.to_owned());
                }
                script.recorded |= text == "# what was recorded is filled in";
                script.head.push_str(text);
                script.head.push('\n');
            } else if text.starts_with("## ") {
                remarks.push_str(text);
                remarks.push('\n');
            } else {
                let block = script.blocks.last_mut().unwrap();
                let to = match block.part(part) {
                    Some(text) => text.as_mut().unwrap(),
                    None => &mut block.body,
                };
                to.push_str(text);
                to.push('\n');
            }
        }
        assert_eq!(script.hosts.len(), 2, "{}", path.display());
        script
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut out = self.head.clone();
        for block in &self.blocks {
            let parts = [
                ("mariadb types", &block.mariadb),
                ("prints", &block.prints),
                ("bundled prints", &block.bundled),
                ("both print", &block.both),
            ];
            out.push_str(&format!("{}>>> {}\n", block.remarks, block.title));
            if !block.body.trim_end().is_empty() {
                out.push_str(&format!("{}\n", block.body.trim_end()));
            }
            for (name, text) in parts {
                if let Some(text) = text {
                    out.push_str(&format!("--- {name}\n"));
                    text.trim_end().lines().for_each(|line| out.push_str(&format!("{}\n", line.trim_end())));
                }
            }
            out.push('\n');
        }
        format!("{}\n", out.trim_end())
    }
}

impl Block {
    fn new(title: &str, line: usize, remarks: String) -> Block {
        let words: Vec<&str> = title.split_whitespace().collect();
        let verb = match words[..] {
            ["evensum", ..] => Verb::Evensum,
            ["python", ..] => Verb::Python,
            [node, "my.cnf", ..] => Verb::Options(number(node)),
            [node, "restart", ..] => Verb::Restart(number(node)),
            [node, "stop", ..] => Verb::Stop(number(node)),
            [node, "sql", ..] => Verb::Sql(number(node)),
            [node, "shell", ..] => Verb::Shell(number(node)),
            _ => panic!("line {line}: '{title}'"),
        };
        Block {
            verb,
            soon: words.contains(&"soon"),
            title: title.to_owned(),
            line,
            remarks,
            body: String::new(),
            mariadb: None,
            prints: None,
            bundled: None,
            both: None,
        }
    }

    fn part(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "" => None,
            "mariadb types" => Some(&mut self.mariadb),
            "prints" => Some(&mut self.prints),
            "bundled prints" => Some(&mut self.bundled),
            "both print" => Some(&mut self.both),
            other => panic!("line {}: '--- {other}'", self.line),
        }
    }

    /// What is typed; none if this is left out on that kind of server.
    pub fn body_for(&self, make: Make) -> Option<&str> {
        match (make, &self.mariadb) {
            (Make::MariaDb, Some(text)) if text.trim().is_empty() => None,
            (Make::MariaDb, Some(text)) => Some(text),
            _ => Some(&self.body),
        }
    }

    /// Takes what was printed as what is expected. One below the other, columns are many: all of them are kept only where they were before.
    pub fn keep(&mut self, printed: &str) {
        let vertical = printed.starts_with('*') || printed.contains("Running");
        match (&mut self.prints, &mut self.bundled) {
            (Some(kept), _) | (_, Some(kept)) if !matches(kept, printed) => *kept = printed.to_owned(),
            (None, None) if !printed.trim().is_empty() && !vertical => {
                self.bundled = Some(printed.to_owned())
            }
            _ => {}
        }
    }

    /// Whether what was printed is what is expected, or how it differs.
    pub fn compare(&self, make: Make, printed: &str) -> Result<(), String> {
        let whole = self.prints.as_ref().or(self.bundled.as_ref().filter(|_| make == Make::Bundled));
        let nothing = self.prints.is_none() && self.bundled.is_none() && self.both.is_none();
        if nothing && !printed.trim().is_empty() {
            return Err(format!("expected nothing, printed\n{printed}"));
        }
        if let Some(whole) = whole
            && !matches(whole, printed)
        {
            return Err(format!("expected\n{whole}printed\n{printed}"));
        }
        let lines: Vec<&str> = printed.lines().collect();
        for wanted in self.both.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()) {
            if !lines.iter().any(|line| fits(&even(wanted), &even(line))) {
                return Err(format!("there is no line '{wanted}' in\n{printed}"));
            }
        }
        Ok(())
    }
}

/// Whether these lines are those.
fn matches(wanted: &str, printed: &str) -> bool {
    let wanted: Vec<String> = wanted.trim_end().lines().map(even).collect();
    let printed: Vec<String> = printed.trim_end().lines().map(even).collect();
    wanted.len() == printed.len() && wanted.iter().zip(&printed).all(|(wanted, line)| fits(wanted, line))
}

/// A line with one space or dash for several.
fn even(line: &str) -> String {
    let mut out = String::new();
    for c in line.trim().chars() {
        if !(matches!(c, ' ' | '-') && out.ends_with(c)) {
            out.push(c);
        }
    }
    out
}

/// Whether a line is as wanted, with `…` for anything.
fn fits(wanted: &str, line: &str) -> bool {
    let mut parts = wanted.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last == Some("")
}
