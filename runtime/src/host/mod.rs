//! Files of the host: the configuration, how it is reloaded and the last one that was applied, Secrets as files, the data
//! folder and its lock, and how changes of files are noticed.

pub mod applied;
pub mod configuration;
pub mod data_dir;
pub mod file_identity;
pub mod file_watch;
pub mod folder_lock;
pub mod secrets;
