//! When a failed delivery is tried again. Pure: the dispatcher brings the randomness and keeps the time.

use std::time::Duration;

use visnyk_crds::valid::Retry;

/// Returns the wait before the next attempt after `attempts` of them failed, or `None` when the schedule is exhausted.
/// It is never shorter than `retry_after`, which the destination asked for with its last answer. `random` is uniform in
/// 0..1.
pub fn next_delay(
    retry: &Retry,
    attempts: u32,
    retry_after: Option<Duration>,
    random: f64,
) -> Option<Duration> {
    let scheduled = retry.schedule.get(usize::try_from(attempts).ok()?)?;
    Some(jittered(*scheduled, retry.jitter_percent, random).max(retry_after.unwrap_or_default()))
}

/// Returns `wait`, lengthened or shortened by up to `percent` of itself, evenly over `random` in 0..1.
pub fn jittered(wait: Duration, percent: u8, random: f64) -> Duration {
    let share = f64::from(percent.min(100)) / 100.0;
    let factor = 1.0 + share * (2.0 * random.clamp(0.0, 1.0) - 1.0);
    Duration::try_from_secs_f64(wait.as_secs_f64() * factor).unwrap_or(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: u64 = 3600;

    /// Returns the schedule of Standard Webhooks.
    fn standard(jitter_percent: u8) -> Retry {
        let seconds = [0, 5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Retry { schedule: seconds.map(Duration::from_secs).to_vec(), jitter_percent }
    }

    #[test]
    fn standard_schedule_is_ten_attempts_over_75_hours_and_35_minutes() {
        let retry = standard(0);
        let waits: Vec<_> = (1..).map_while(|attempts| next_delay(&retry, attempts, None, 0.5)).collect();
        assert_eq!(waits.len(), 9);
        assert_eq!(waits.iter().sum::<Duration>(), Duration::from_secs(75 * HOUR + 35 * 60 + 5));
    }

    #[test]
    fn jitter_reaches_both_ends_and_the_middle_is_the_schedule() {
        let delay = |random| next_delay(&standard(20), 2, None, random);
        assert_eq!(delay(0.0), Some(Duration::from_mins(4)));
        assert_eq!(delay(0.5), Some(Duration::from_mins(5)));
        assert_eq!(delay(1.0), Some(Duration::from_mins(6)));
    }

    #[test]
    fn what_the_destination_asked_for_wins_when_it_is_longer() {
        let delay = |seconds| next_delay(&standard(20), 2, Some(Duration::from_secs(seconds)), 0.0);
        assert_eq!(delay(1000), Some(Duration::from_secs(1000)));
        assert_eq!(delay(1), Some(Duration::from_mins(4)));
    }

    #[test]
    fn nothing_prolongs_an_exhausted_schedule() {
        assert_eq!(next_delay(&standard(20), 10, Some(Duration::from_mins(1)), 0.5), None);
        assert_eq!(next_delay(&standard(20), u32::MAX, None, 0.5), None);
    }

    proptest! {
        #[test]
        fn delay_is_within_the_jitter_and_never_under_retry_after(
            attempts in 0_u32..12, percent in any::<u8>(), random in any::<f64>(), asked in proptest::option::of(0_u64..90_000),
        ) {
            let retry = standard(percent);
            let asked = asked.map(Duration::from_secs);
            let Some(delay) = next_delay(&retry, attempts, asked, random) else {
                prop_assert!(attempts >= 10);
                return Ok(());
            };
            let longest = retry.schedule[attempts as usize] * 2;
            prop_assert!(delay >= asked.unwrap_or_default());
            prop_assert!(delay <= longest.max(asked.unwrap_or_default()));
        }
    }
}
