//! A new node's beginning: a consistent copy of another one, with the place in replication where it was made.
//!
//! The new node pulls (`statement`: `CLONE INSTANCE FROM …`). It logs in at the source as a replica does and asks for a
//! snapshot; the source (`source`) streams it from one read transaction, so that its writers never wait, and the
//! new node (`target`) writes it in one transaction of its own. `message` is what travels between them.
//!
//! What is copied: databases, tables, rows in stored form, the counters of automatic keys, the accounts that
//! statements made (these statements have GTIDs, and are not applied again), and the GTIDs that the source
//! had executed at that moment. The new node has these executed, and purged, since its log does not hold them: a
//! replica of its own that lacks them is told so (1236). What stays its own: `server_id`, `server_uuid`, its
//! configuration with the users in it, its links, its log.
//!
//! Invariant: before the one commit the new node is as empty as it was, after it the copy is complete; a stream that
//! was cut, a source that lies about its end and a process that is killed leave nothing behind.
//!
//! Not here: joining the ring. That is CHANGE MASTER, as for any replica.

pub mod message;
pub mod source;
pub mod statement;
pub mod target;
