//! The commands that connect to a running relay, by the admin socket in its data folder.

use std::io;
use std::path::Path;

use serde_json::Value;
use visnyk_runtime::admin::socket::{AdminClient, AdminError};

use crate::admin::{DiscardAnswer, DiscardOrder, RedriveAnswer, RedriveOrder};
use crate::args::{AdminArgs, DiscardArgs, ListArgs, RedriveArgs};

fn client(data_dir: &Path) -> AdminClient {
    AdminClient::new("relay", data_dir)
}

/// Prints the status of a running relay.
pub async fn status(args: &AdminArgs) -> Result<(), AdminError> {
    let status: Value = client(&args.data_dir).get("/status").await?;
    println!("{status:#}");
    Ok(())
}

/// Prints dead letters, one line of JSON each.
pub async fn list(args: &ListArgs) -> Result<(), AdminError> {
    // Names are DNS labels: nothing in them needs escaping.
    let destination =
        args.destination.as_ref().map(|name| format!("&destination={name}")).unwrap_or_default();
    let path = format!("/dead-letters?bodies={}{destination}", args.bodies);
    client(&args.admin.data_dir).copy(&path, &mut io::stdout()).await
}

/// Makes dead letters pending again.
pub async fn redrive(args: &RedriveArgs) -> Result<(), AdminError> {
    let order = RedriveOrder { destination: args.destination.clone(), events: args.events.clone() };
    let answer: RedriveAnswer = client(&args.admin.data_dir).post("/redrive", &order).await?;
    println!("{} dead letters of {} wait again", answer.redriven, args.destination);
    if answer.no_room > 0 {
        println!("{} stay dead: the waiting room is full", answer.no_room);
    }
    Ok(())
}

/// Drops the undelivered events of a destination.
pub async fn discard(args: &DiscardArgs) -> Result<(), AdminError> {
    let order = DiscardOrder { destination: args.destination.clone() };
    let answer: DiscardAnswer = client(&args.admin.data_dir).post("/discard", &order).await?;
    println!("{} undelivered events of {} dropped", answer.dropped, args.destination);
    Ok(())
}
