//! A linearizability checker for recorded histories.
