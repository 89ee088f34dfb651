//! Proofs of the promises when the machine fails: power cuts, failing and full disks, bit rot, file surgery, a long
//! backlog; and when destinations fail. `docs/guarantees.md` has the figures; `make soak` runs the long form.

mod backlog;
mod bit_rot;
mod failing_disk;
mod fill;
mod full_disk;
mod guard;
mod hostile;
mod leaving;
mod mess;
mod power_cut;
mod returned;
mod surgery;
mod swaps;
mod testssl;
