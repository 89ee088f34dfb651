//! The operator as users meet it: installed by its chart, on a node where pods run and fall ill.

#![allow(clippy::unwrap_used)]

mod admission;
mod autoscaling;
mod chart;
mod children;
mod configuration;
mod healing;
mod left;
mod operator;
mod readme;
mod restored;
mod rights;
mod rollout;
mod secrets;
mod trust;
mod volume;
