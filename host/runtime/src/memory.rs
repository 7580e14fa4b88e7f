//! What a guest may take of memory and tables, and what it took.
//!
//! Must never count one memory alone: a component has as many as it likes, and the limit holds for the sum.

use wasmtime::ResourceLimiter;

const MOST_TABLE_ELEMENTS: usize = 100_000;

/// The memory limit of one call, and the account of it.
pub(crate) struct MemoryMeter {
    most: usize,
    now: usize,
    last_growth: usize,
    /// Most bytes at a time.
    pub(crate) peak: usize,
    /// The size that the guest wanted when it was refused first.
    pub(crate) refused: Option<usize>,
}

impl MemoryMeter {
    pub(crate) fn new(most: u64) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { most, now: 0, last_growth: 0, peak: 0, refused: None }
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let sum = self.now.saturating_add(growth);
        if sum > self.most {
            self.refused.get_or_insert(sum);
            return Ok(false);
        }
        (self.now, self.last_growth) = (sum, growth);
        self.peak = self.peak.max(sum);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(%error, "a guest's memory did not grow");
        self.now -= std::mem::take(&mut self.last_growth);
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MOST_TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        crate::engine::MOST_CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        crate::engine::MOST_TABLES as usize
    }

    fn memories(&self) -> usize {
        crate::engine::MOST_MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_all_memories_counts() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(!meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_growing(0, 40, None).unwrap());
        assert_eq!((meter.peak, meter.refused), (100, Some(120)));
    }

    #[test]
    fn what_failed_to_grow_is_given_back() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        meter.memory_grow_failed(wasmtime::format_err!("full")).unwrap();
        assert!(meter.memory_growing(0, 100, None).unwrap());
    }
}
