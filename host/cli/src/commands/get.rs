//! `gleaner get`: enqueue works and work until they have ended.

use gleaner_desk::Enqueuer;

use crate::args::Get;
use crate::commands::enqueue;
use crate::commands::reload::Reload;
use crate::commands::run::{self, Beside, Task};
use crate::context::Context;
use crate::exit::{Exit, Failed};

/// Enqueues and drains.
pub(crate) async fn get(context: &Context, args: &Get) -> Result<Exit, Failed> {
    let (sources, reload) = Reload::begin(context).await?;
    let library = context.library()?;
    let now = sources.live.now();
    let enqueuer = Enqueuer::new(context.look(&library), now.planner.clone()).telling(enqueue::report);
    let enqueuer = enqueuer.without(context.suspended(&library, &now.resolvers).await?);
    drop(now);
    let added = enqueue::works(enqueuer.turn(args.turn.into()).keep_jobs(), &args.works).await?;
    let input = enqueue::exit(&added);
    let task = Task::Jobs { jobs: added.jobs, max_wait: args.max_wait.0 };
    let worked = run::work(context, library, sources, reload, task, Beside::default()).await?;
    Ok(if worked == Exit::Well { input } else { worked })
}
