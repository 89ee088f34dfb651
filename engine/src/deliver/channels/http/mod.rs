//! HTTP requests to URLs, Services and Collectors. Each connection is made through [`visnyk_runtime::guard`].

pub mod authorization;
pub mod client;
pub mod connect;
pub mod connections;
pub mod credentials;
pub mod exchange;
pub mod fetch;
pub mod headers;
pub mod peer;
pub mod pins;
pub mod resolver;
pub mod route;
pub mod sign;
pub mod tls;
pub mod tokens;
