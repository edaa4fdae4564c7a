//! After the login: statements that are almost right, and commands that are not.

use std::collections::BTreeMap;

use node::protocol::handshake::read_error;

use crate::grammar;
use crate::random::Random;
use crate::wire::{Raw, packet};
use crate::{PASSWORD, Target, USER, inputs, memory, no_panics};

const STATEMENTS: u64 = 45_000;
const COMMANDS: u64 = 20_000;
/// After so many inputs the tables are made anew.
const RESET: u64 = 100;
/// COM_STATISTICS: its answer is like no other, so it tells where an answer ends.
const FENCE: u8 = 9;
/// An error that MySQL has no number for.
const INTERNAL: u16 = 1105;
/// How much of an input is shown where it fails the test, in bytes.
const SHOWN: usize = 2_000;

struct User<'t> {
    target: &'t Target,
    raw: Raw,
    /// Connections that the node ended.
    ended: u64,
    questions: u64,
    /// Errors by their number, and 0 for all that went well.
    answers: BTreeMap<u16, u64>,
    /// What was answered with an internal error, which is a mistake of the node's own.
    internal: Vec<String>,
}

impl User<'_> {
    fn again(&mut self) {
        self.raw = Raw::login(self.target.address(), USER, PASSWORD);
    }

    /// Sends packets and reads all answers. False if the node ended the connection.
    fn exchange(&mut self, bytes: &[u8]) -> bool {
        let fence = packet(0, &[FENCE]);
        if self.raw.send(bytes) && self.raw.send(&fence) {
            while let Some(payload) = self.raw.read_packet() {
                if let Some(rest) = payload.strip_prefix(b"Uptime: ") {
                    let text = String::from_utf8_lossy(rest).into_owned();
                    let (_, rest) = text.split_once("Questions: ").unwrap();
                    self.questions = rest.split(' ').next().unwrap().parse().unwrap();
                    return true;
                }
                let (error, message) = read_error(&payload).unwrap_or_default();
                if error == INTERNAL {
                    let sent = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).into_owned();
                    self.internal.push(format!("{message}: {sent:?}"));
                }
                *self.answers.entry(error).or_default() += 1;
            }
        }
        self.ended += 1;
        self.again();
        false
    }

    fn statement(&mut self, sql: &[u8]) -> bool {
        self.exchange(&packet(0, &[b"\x03", sql].concat()))
    }

    fn reset(&mut self, random: &mut Random, corpus: &[String]) {
        self.again();
        for sql in ["DROP DATABASE IF EXISTS shop", "CREATE DATABASE shop", "USE shop", "SET autocommit = 1"]
        {
            self.statement(sql.as_bytes());
        }
        for sql in corpus.iter().filter(|sql| sql.starts_with("CREATE TABLE")) {
            if random.once_in(2) {
                self.statement(sql.as_bytes());
            }
        }
    }
}

pub fn check(seed: u64) -> u64 {
    let target = Target::new();
    let corpus = grammar::transcripts();
    let raw = Raw::login(target.address(), USER, PASSWORD);
    let mut user =
        User { target: &target, raw, ended: 0, questions: 0, answers: BTreeMap::new(), internal: Vec::new() };
    let watch = memory::Watch::begin();
    let (statements, commands) = (inputs(STATEMENTS), inputs(COMMANDS));
    let mut whole = 0;
    for nth in 0..statements + commands {
        let mut random = Random::of(seed, (1 << 32) + nth);
        if nth % RESET == 0 {
            user.reset(&mut random, &corpus);
            no_panics(seed, nth);
            watch.bounded(seed, nth);
        }
        let begun = std::time::Instant::now();
        if nth < statements {
            let sql = grammar::statement(&mut random, &corpus);
            whole += u64::from(user.statement(&sql));
            let slow = begun.elapsed();
            if slow.as_secs() >= 3 {
                println!(
                    "input {nth} took {slow:?}: {}",
                    String::from_utf8_lossy(&sql[..sql.len().min(300)])
                );
            }
        } else {
            command(&mut user, &mut random, &corpus);
        }
    }
    println!("answers by error: {:?}", user.answers);
    println!("{whole} statements answered, {} connections ended, {} questions", user.ended, user.questions);
    let internal = user.internal.join("\n");
    assert!(internal.is_empty(), "EVENSUM_SEED={seed}: internal errors:\n{internal}");
    assert!(whole > statements * 9 / 10, "only {whole} of {statements} statements were answered");
    assert!(user.questions > statements, "the statements were not reached");
    let _ = user.statement(b"ROLLBACK");
    user.again();
    target.is_well();
    no_panics(seed, statements + commands);
    statements + commands
}

/// One command, or a few that belong together, damaged.
fn command(user: &mut User<'_>, random: &mut Random, corpus: &[String]) {
    let sql = random.pick(corpus).clone();
    let mut payloads: Vec<Vec<u8>> = match random.below(8) {
        0 => vec![[&[random.byte()][..], &random.bytes(40)].concat()],
        1 => vec![[b"\x03", sql.as_bytes()].concat()],
        2 => vec![[b"\x02", sql.as_bytes()].concat()],
        3 => vec![[b"\x16", sql.as_bytes()].concat(), [b"\x17".as_slice(), &random.bytes(30)].concat()],
        4 | 5 => prepared(random),
        6 => vec![dump(random)],
        _ => vec![
            vec![0x1b, random.byte(), 0],
            [b"\x04".as_slice(), &random.bytes(20)].concat(),
            vec![0x1f],
            vec![0x0e],
            [b"\x19".as_slice(), &random.bytes(6)].concat(),
            [b"\x1a".as_slice(), &random.bytes(6)].concat(),
            [b"\x11fuzz\0".as_slice(), &random.bytes(30)].concat(),
        ],
    };
    for payload in &mut payloads {
        if random.once_in(2) {
            random.damage(payload);
        }
    }
    let quit = |payload: &Vec<u8>| payload.first().is_some_and(|kind| [0x0c, 0x1e, 0x20].contains(kind));
    let mut bytes: Vec<u8> = payloads.iter().flat_map(|payload| packet(0, payload)).collect();
    if random.once_in(4) {
        // also the packets themselves: lengths and sequence numbers
        random.damage(&mut bytes);
        user.raw.send(&bytes);
        give_up(user);
    } else if payloads.iter().any(quit) {
        user.raw.send(&bytes);
        give_up(user);
    } else {
        user.exchange(&bytes);
    }
}

/// Leaves without waiting: a log is sent for ever.
fn give_up(user: &mut User<'_>) {
    let _ = user.raw.stream.shutdown(std::net::Shutdown::Both); // the node may have closed it
    user.again();
}

/// A statement with parameters, long data for it, and executions with damaged values.
fn prepared(random: &mut Random) -> Vec<Vec<u8>> {
    const TYPES: [u8; 20] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 246, 252, 253, 254];
    let count = random.below(12) + 1;
    let marks = vec!["?"; count].join(", ");
    let mut payloads = vec![[b"\x16", format!("SELECT {marks}").as_bytes()].concat()];
    // statements are numbered from 1 in each connection
    let id = u32::try_from(random.below(6)).unwrap().to_le_bytes();
    if random.once_in(3) {
        let parameter = random.below(count + 1).to_le_bytes();
        payloads.push([b"\x18".as_slice(), &id, &parameter[..2], &random.bytes(60)].concat());
    }
    for _ in 0..=random.below(3) {
        let mut execute = [b"\x17".as_slice(), &id, &[0, 1, 0, 0, 0]].concat();
        execute.extend((0..count.div_ceil(8)).map(|_| if random.once_in(2) { 0 } else { random.byte() }));
        execute.push(u8::from(!random.once_in(4)));
        for _ in 0..count {
            execute.extend([*random.pick(&TYPES), if random.once_in(2) { 0x80 } else { 0 }]);
        }
        for _ in 0..count {
            let length = *random.pick(&[0_u8, 4, 7, 8, 11, 12, 250, 253, 254]);
            execute.push(length);
            execute.extend(random.bytes(usize::from(length.min(16))));
        }
        payloads.push(execute);
    }
    payloads
}

/// A request for the log.
fn dump(random: &mut Random) -> Vec<u8> {
    let mut request = vec![0x1e, random.below(8).to_le_bytes()[0], 0, 9, 0, 0, 0];
    let name = *random.pick(&["", "log.000001", "log.999999999999999999999", "log.-1", "x"]);
    request.push(u8::try_from(name.len()).unwrap());
    request.extend_from_slice(name.as_bytes());
    request.extend_from_slice(&random.next().to_le_bytes());
    let known =
        *random.pick(&["", "a:1-5", "a:1-18446744073709551615", "a:5-1", "a:1-2:2-3,b:9", ":::", "a:0"]);
    request.push(u8::try_from(known.len()).unwrap());
    request.extend_from_slice(known.as_bytes());
    request
}
