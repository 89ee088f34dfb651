//! The operator dies at each of its writes, before it or right after it, and the next one goes on from there. In the
//! end there is what one that never died would have left.

use crate::life::{Life, PHASES, Phase};
use crate::line::{Line, Moment};
use crate::snapshot::Snapshot;
use crate::world::in_world;

impl Moment {
    /// Returns the number of writes that each operator gets through with and hears of: so that the next has another
    /// before it.
    fn lets_pass(self) -> usize {
        match self {
            Self::Before => 1,
            Self::After => 0,
        }
    }
}

/// Lives with operators of which none gets further than a write. Returns how many died.
async fn with_mortals(life: &mut Life<'_>, moment: Moment, end: &Snapshot, when: &str) -> usize {
    for deaths in 0.. {
        let deadly = Line::deadly(moment.lets_pass(), moment);
        life.world.start_on(&deadly).await;
        let has_died = tokio::select! {
            () = deadly.death() => true,
            () = life.comes_to(end, when) => false,
        };
        life.world.stop().await;
        if !has_died {
            return deaths;
        }
        assert!(deaths < 200, "{when}: they get nowhere, for all they write");
    }
    unreachable!("counting has no end")
}

async fn die_at_every_write(moment: Moment) {
    in_world(async move |mut world| {
        let mut life = Life::new(&mut world).await;
        let calm = life.calm().await;
        for (phase, (writes, end)) in PHASES.into_iter().zip(calm) {
            life.begin(phase).await;
            let deaths = with_mortals(&mut life, moment, &end, &format!("{phase:?}, {moment:?}")).await;
            println!("{phase:?}, {moment:?}: {deaths} deaths, {writes} writes without");
            // Several reconciles write at once, and an operator that dies publishes fewer Events, and says less of what is
            // going meanwhile.
            let most_without = match phase {
                Phase::Creation | Phase::Change | Phase::Growth => 3,
                Phase::Deletion => 5,
            };
            assert!(deaths * most_without >= writes, "{phase:?}: {deaths} deaths at {writes} writes");
        }
        life.end().await;
    })
    .await;
}

#[tokio::test]
async fn operators_that_die_after_each_write_get_there() {
    die_at_every_write(Moment::After).await;
}

#[tokio::test]
async fn operators_that_die_before_each_write_get_there() {
    die_at_every_write(Moment::Before).await;
}
