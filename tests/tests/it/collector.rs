//! The collector: what senders and relays see of it, and what is in its folder afterwards.

mod access;
mod disk;
mod durability;
mod newer;
mod reload;
mod secrets;
mod stall;
mod tail;
mod wire;
