//! What a guest may take of memory and tables, and what it took.
//!
//! Must never count one memory alone: a component has as many as it likes, tables too, and the limit holds for the
//! sum.

use wasmtime::ResourceLimiter;

/// Of one table, and as the pool has room for.
pub(crate) const MOST_TABLE_ELEMENTS: usize = 100_000;
/// What an element of a table takes of the host.
const ELEMENT: usize = size_of::<usize>();

/// The memory limit of one call, and the account of it.
pub(crate) struct MemoryMeter {
    most: usize,
    now: usize,
    last_growth: usize,
    /// Most bytes at a time.
    pub(crate) peak: usize,
    /// The size that the guest wanted when it was refused first.
    pub(crate) refused: Option<usize>,
    /// The elements of one table that it wanted when it was refused first.
    pub(crate) refused_table: Option<usize>,
}

impl MemoryMeter {
    pub(crate) fn new(most: u64) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { most, now: 0, last_growth: 0, peak: 0, refused: None, refused_table: None }
    }

    /// Another call begins in the same instance: what it holds stays counted.
    pub(crate) fn begin(&mut self, most: u64) {
        *self = Self { now: self.now, peak: self.now, ..Self::new(most) };
    }

    fn grow(&mut self, growth: usize) -> bool {
        let sum = self.now.saturating_add(growth);
        if sum > self.most {
            self.refused.get_or_insert(sum);
            return false;
        }
        (self.now, self.last_growth) = (sum, growth);
        self.peak = self.peak.max(sum);
        true
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(%error, "a guest's memory or table did not grow");
        self.now -= std::mem::take(&mut self.last_growth);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > MOST_TABLE_ELEMENTS {
            self.refused_table.get_or_insert(desired);
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current).saturating_mul(ELEMENT)))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_grow_failed(error)
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
    fn tables_count_and_have_a_cap_of_their_own() {
        let mut meter = MemoryMeter::new(1000);
        assert!(meter.table_growing(0, 100, None).unwrap());
        assert!(meter.memory_growing(0, 200, None).unwrap());
        assert!(!meter.table_growing(0, 1, None).unwrap());
        assert_eq!((meter.peak, meter.refused, meter.refused_table), (1000, Some(1008), None));
        assert!(!meter.table_growing(100, 100_001, None).unwrap());
        assert_eq!(meter.refused_table, Some(100_001));
    }

    #[test]
    fn the_next_call_in_an_instance_begins_with_what_it_holds() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(!meter.memory_growing(60, 160, None).unwrap());
        meter.begin(100);
        assert_eq!((meter.peak, meter.refused), (60, None));
        assert!(!meter.memory_growing(60, 120, None).unwrap());
    }

    #[test]
    fn what_failed_to_grow_is_given_back() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        meter.memory_grow_failed(wasmtime::format_err!("full")).unwrap();
        assert!(meter.memory_growing(0, 100, None).unwrap());
    }
}
