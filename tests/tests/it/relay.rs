//! The relay between its senders and its destinations. Whatever a test does to it, promise 2 holds after.

mod admin;
mod broken;
mod change;
mod check;
mod crowd;
mod damage;
mod deliver_only;
mod destinations;
mod disk;
mod explain;
mod kill;
mod large;
mod newer;
mod probes;
mod refusals;
mod reload;
mod rules;
mod secrets;
mod sources;
mod stall;
mod wire;
