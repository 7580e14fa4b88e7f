//! From room that is reserved to jobs that run in it: claims keys, leases jobs, and starts their workers.
//!
//! Must never lease a job without room for it, nor keep room that no job came for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gleaner_limits::Claims;
use gleaner_model::key::Key;
use gleaner_store::{Leased, StoreError};
use tokio::time::Instant;

use crate::gather::Member;
use crate::line::InLine;
use crate::pieces::{Pieces, lock};
use crate::reserve::{Place, Reservation, Start};
use crate::run::Tasks;
use crate::worker;

/// Room for so many jobs of a key.
pub(crate) struct Offer {
    pub(crate) key: Key,
    pub(crate) most: u64,
    pub(crate) room: Room,
}

pub(crate) enum Room {
    /// For one step, or for several one after the other or together.
    Step(Reservation),
    /// In line for a permit.
    Line(Vec<InLine>),
}

/// Claims what keys wait for. Those whose limits are all this process's take their turn again; returns how many.
pub(crate) async fn claim(pieces: &Pieces, unclaimed: Vec<(Key, Key)>) -> Result<usize, StoreError> {
    if unclaimed.is_empty() {
        return Ok(0);
    }
    let limits: HashSet<Key> = unclaimed.iter().map(|(_, limit)| limit.clone()).collect();
    let limiter = &pieces.sources.limiter;
    let foreign = pieces.sharing.claim_all(limiter, limits.into_iter().collect(), false).await?;
    let mut schedule = lock(&pieces.schedule);
    let mut claimed = 0;
    for (key, limit) in unclaimed.into_iter().rev() {
        if foreign.contains(&limit) {
            schedule.park_until(&key, &limit, Instant::now() + <dyn Claims>::AGAIN);
        } else {
            schedule.put_back(key);
            claimed += 1;
        }
    }
    Ok(claimed)
}

/// Leases what there is room for, and starts it.
pub(crate) async fn lease(
    pieces: &Arc<Pieces>,
    offers: Vec<Offer>,
    tasks: &mut Tasks,
) -> Result<usize, StoreError> {
    if offers.is_empty() {
        return Ok(0);
    }
    let mut rooms: HashMap<Key, Vec<Offer>> = HashMap::new();
    let mut wanted: Vec<(Key, u32)> = Vec::new();
    for offer in offers {
        let most = u32::try_from(offer.most).unwrap_or(u32::MAX);
        let rooms = rooms.entry(offer.key.clone()).or_default();
        match wanted.iter_mut().find(|(key, _)| *key == offer.key).filter(|_| !rooms.is_empty()) {
            Some((_, count)) => *count += most,
            None => wanted.push((offer.key.clone(), most)),
        }
        rooms.push(offer);
    }
    let began = Instant::now();
    let leased = pieces.queue.lease(wanted.clone(), pieces.config.lease_ttl.0).await?;
    pieces.paces.note_lease(began.elapsed());
    let started = leased.len();
    let mut by_key: HashMap<Key, Vec<Leased>> = HashMap::new();
    for job in leased {
        by_key.entry(job.key.clone()).or_default().push(job);
    }
    for (key, most) in wanted {
        let jobs = by_key.remove(&key).unwrap_or_default();
        if jobs.len() < most as usize {
            lock(&pieces.schedule).emptied(&key);
        }
        let mut jobs = jobs.into_iter().peekable();
        for Offer { most, room, .. } in rooms.remove(&key).unwrap_or_default() {
            let of_this: Vec<Leased> = jobs.by_ref().take(usize::try_from(most).unwrap_or(1)).collect();
            for (job, first) in starts(pieces, room, of_this) {
                start(pieces, job, first, tasks);
            }
        }
    }
    Ok(started)
}

/// Each job with what it starts with: a place alone, in line, in one call with others, or in turn with them.
fn starts(pieces: &Arc<Pieces>, room: Room, mut jobs: Vec<Leased>) -> Vec<(Leased, Start)> {
    let reservation = match room {
        Room::Step(reservation) => reservation,
        Room::Line(places) => return jobs.into_iter().zip(places.into_iter().map(Start::InLine)).collect(),
    };
    if jobs.len() == 1 {
        return jobs.pop().map(|job| (job, Start::Now(Place::Own(reservation)))).into_iter().collect();
    }
    if let Key::Resolver(name) = &reservation.key
        && pieces.most_a_call(name).is_some()
    {
        let name = name.clone();
        let places = Member::places(pieces, &name, reservation, jobs.len());
        return jobs.into_iter().zip(places.into_iter().map(Place::Together).map(Start::Now)).collect();
    }
    let shared = Arc::new(tokio::sync::Mutex::new(reservation));
    jobs.into_iter().map(|job| (job, Start::Now(Place::Shared(Arc::clone(&shared))))).collect()
}

fn start(pieces: &Arc<Pieces>, job: Leased, first: Start, tasks: &mut Tasks) {
    let lease = job.lease();
    pieces.running.begin(lease, job.key.clone(), Instant::now() + pieces.config.lease_ttl.0);
    // Boxed, because a task is moved several times before it runs, and what calls a plugin is large.
    let task = tasks.spawn(Box::pin(worker::work(Arc::clone(pieces), job, first)));
    pieces.running.set_task(lease, task);
}
