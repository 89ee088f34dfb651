//! Files of the host: the configuration and how it is reloaded, Secrets as files, the data folder and its lock, and how
//! changes of files are noticed.

pub mod configuration;
pub mod data_dir;
pub mod file_identity;
pub mod file_watch;
pub mod folder_lock;
pub mod secrets;
