//! `gleaner get`: enqueue works and work until they have ended.

use crate::args::Get;
use crate::commands::enqueue::Enqueuer;
use crate::commands::reload::Reload;
use crate::commands::run::{self, Task};
use crate::context::Context;
use crate::exit::{Exit, Failed};

/// Enqueues and drains.
pub(crate) async fn get(context: &Context, args: &Get) -> Result<Exit, Failed> {
    let (sources, reload) = Reload::begin(context).await?;
    let library = context.library()?;
    let now = sources.live.now();
    let enqueuer = Enqueuer::new(context, &library, now.planner.clone());
    let enqueuer = enqueuer.without(context.suspended(&library, &now.resolvers).await?);
    drop(now);
    let added = enqueuer.turn(args.turn).keep_jobs().works(&args.works).await?;
    let input = added.exit();
    let task = Task::Jobs { jobs: added.jobs, max_wait: args.max_wait.0 };
    let worked = run::work(context, library, sources, reload, task, None).await?;
    Ok(if worked == Exit::Well { input } else { worked })
}
