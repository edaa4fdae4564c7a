//! Before the login: bytes of strangers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use node::protocol::handshake;

use crate::cluster::Client;
use crate::random::Random;
use crate::wire::{Raw, packet};
use crate::{PASSWORD, SECRET, Target, USER, inputs, memory, no_panics};

const FULL: u64 = 30_000;
const SHA2_USER: &str = "sha";

/// What a client sends to a node, taken between the two.
pub fn captured(to: SocketAddr, talk: impl FnOnce(SocketAddr)) -> (Vec<u8>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let between = listener.local_addr().unwrap();
    let (sent, answered) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let copies = (Arc::clone(&sent), Arc::clone(&answered));
    let proxy = std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let node = TcpStream::connect(to).unwrap();
        let (back_from, back_to) = (node.try_clone().unwrap(), client.try_clone().unwrap());
        let back = std::thread::spawn(move || copy(back_from, back_to, &copies.1));
        copy(client, node, &copies.0);
        back.join().unwrap();
    });
    talk(between);
    proxy.join().unwrap();
    let taken = |bytes: Arc<Mutex<Vec<u8>>>| std::mem::take(&mut *bytes.lock().unwrap());
    (taken(sent), taken(answered))
}

fn copy(mut from: TcpStream, mut to: TcpStream, kept: &Mutex<Vec<u8>>) {
    let mut chunk = [0; 8 << 10];
    while let Ok(count) = from.read(&mut chunk) {
        if count == 0 || to.write_all(&chunk[..count]).is_err() {
            break;
        }
        kept.lock().unwrap().extend_from_slice(&chunk[..count]);
    }
    let _ = to.shutdown(std::net::Shutdown::Both); // it may be closed already
    let _ = from.shutdown(std::net::Shutdown::Both);
}

/// Whole conversations: right but for the salt, which is new for each connection.
fn conversations(target: &Target) -> Vec<Vec<u8>> {
    let talk = |user: &'static str, password: &'static str, sql: &'static [&'static str]| {
        captured(target.address(), move |between| {
            let Ok(mut client) = Client::login(between, user, password) else { return };
            for sql in sql {
                let _ = client.query(sql); // an error is an answer too
            }
        })
        .0
    };
    let mut all = vec![
        talk(USER, PASSWORD, &["SELECT v FROM canary.t", "INSERT INTO canary.t VALUES (2, 'x')"]),
        talk(USER, PASSWORD, &["DROP TABLE canary.t2", "SELECT 1"]),
        talk(USER, "wrong", &[]),
        talk("root", "", &[]),
        talk("", "", &[]),
    ];
    // the same without a plugin, as an old client, and with a request for TLS
    let first = all[0].clone();
    for (at, bits) in [(6, 0x08_u8), (6, 0x20), (5, 0x80), (5, 0x08), (4, 0x08), (4, 0xff)] {
        let mut changed = first.clone();
        changed[at] ^= bits;
        all.push(changed);
    }
    let mut tls = packet(1, &first[4..36]);
    tls[5] |= 0x08;
    tls.extend_from_slice(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
    all.push(tls);
    all.extend(by_sha2());
    all
}

/// Logins by caching_sha2_password, which needs TLS: also who knows the password is not let in without it.
fn by_sha2() -> [Vec<u8>; 2] {
    let login = |proof: &[u8]| {
        let mut login = handshake::login(SHA2_USER, proof);
        login.truncate(login.len() - "mysql_native_password".len() - 1);
        login.extend_from_slice(b"caching_sha2_password\0");
        packet(1, &login)
    };
    let query = packet(0, b"\x03SELECT v FROM canary.t");
    let password = [PASSWORD.as_bytes(), b"\0"].concat();
    [
        [login(&[7; 32]), packet(3, &password), query.clone()].concat(),
        [login(&[]), packet(3, b"\x02"), packet(5, &password), query].concat(),
    ]
}

/// Bytes of a stranger for this input.
fn bytes(random: &mut Random, conversations: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.pick(conversations).clone();
    match random.below(10) {
        0 => bytes = random.bytes(300),
        1 => {
            // a huge length that never comes
            let declared = [random.byte(), random.byte(), random.byte(), random.below(3).to_le_bytes()[0]];
            bytes = [&declared[..], &random.bytes(40)].concat();
        }
        2 => bytes = [random.pick(conversations).clone(), bytes].concat(),
        3 => {
            // statements without any login, from each place in the sequence
            let query =
                [b"\x03INSERT INTO canary.t VALUES (3, 'in')".as_slice(), b"\x03SELECT v FROM canary.t"];
            let first = random.below(3).to_le_bytes()[0];
            bytes = query.iter().flat_map(|query| packet(first, query)).collect();
        }
        _ => {}
    }
    if !random.once_in(8) {
        random.damage(&mut bytes);
    }
    bytes
}

/// Questions that the node has been asked.
fn questions(target: &Target) -> u64 {
    let mut raw = Raw::login(target.address(), USER, PASSWORD);
    raw.send(&packet(0, &[9]));
    let text = String::from_utf8(raw.read_packet().unwrap()).unwrap();
    let (_, rest) = text.split_once("Questions: ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

pub fn check(seed: u64) -> u64 {
    let target = Target::new();
    target.client().run(&[
        "CREATE TABLE canary.t2 (id INT)",
        &format!("CREATE USER '{SHA2_USER}'@'%' IDENTIFIED WITH caching_sha2_password BY '{PASSWORD}'"),
        &format!("GRANT ALL ON *.* TO '{SHA2_USER}'@'%'"),
    ]);
    let conversations = conversations(&target);
    assert!(conversations[0].len() > 100, "nothing was captured");
    target.client().run(&["DELETE FROM canary.t WHERE id = 2"]);
    let before = questions(&target);
    let watch = memory::Watch::begin();
    let all = inputs(FULL);
    for nth in 0..all {
        let mut random = Random::of(seed, nth);
        let bytes = bytes(&mut random, &conversations);
        let mut raw = Raw::connect(target.address());
        raw.send(&bytes);
        let answer = raw.finish();
        let shown = answer.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
        assert!(!shown, "EVENSUM_SEED={seed}, input {nth}: a stranger was shown a row");
        if nth % 1_000 == 0 {
            no_panics(seed, nth);
            watch.bounded(seed, nth);
        }
    }
    // only the question above and this one: none of the strangers' bytes was taken for a command
    assert_eq!(questions(&target), before + 1, "EVENSUM_SEED={seed}: a stranger's command was taken");
    target.is_well();
    no_panics(seed, all);
    all
}
