//! syncer.
