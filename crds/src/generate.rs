//! The files that are generated from the types: what is published and what is read.
