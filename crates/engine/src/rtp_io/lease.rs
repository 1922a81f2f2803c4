//! A pair of ports that one stream has, and that finds its way back to the pool.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::ports::PortPool;
use crate::clock::Clock;

/// The pool that all streams of an engine share.
#[derive(Clone, Debug)]
pub(super) struct SharedPorts {
    clock: Clock,
    pool: Arc<Mutex<PortPool>>,
}

impl SharedPorts {
    pub(super) fn new(clock: Clock, pool: PortPool) -> Self {
        Self { clock, pool: Arc::new(Mutex::new(pool)) }
    }

    /// A pair; `None` where all are in use.
    pub(super) fn take(&self) -> Option<PortLease> {
        let now = self.clock.instant();
        let port = self.pool().take(now)?;
        Some(PortLease { port: Some(port), ports: self.clone() })
    }

    /// Pairs that nobody uses.
    pub(super) fn free(&self) -> usize {
        self.pool().free()
    }

    fn pool(&self) -> MutexGuard<'_, PortPool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to a pair of ports; dropped, the pair goes to rest.
#[derive(Debug)]
pub(super) struct PortLease {
    /// The even port; `None` once it is given back.
    port: Option<u16>,
    ports: SharedPorts,
}

impl PortLease {
    /// The even port.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or_default()
    }

    /// Gives the pair back without waiting for anybody; the lease itself, where that is not
    /// possible now.
    pub(super) fn try_return(mut self) -> Result<(), Self> {
        let ports = self.ports.clone();
        let mut pool = match ports.pool.try_lock() {
            Ok(pool) => pool,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(self),
        };
        if let Some(port) = self.port.take() {
            pool.give_back(ports.clock.instant(), port);
        }
        Ok(())
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        if let Some(port) = self.port.take() {
            let now = self.ports.clock.instant();
            self.ports.pool().give_back(now, port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports() -> SharedPorts {
        SharedPorts::new(Clock::new(), PortPool::new(10_000, 10_002, 1))
    }

    #[test]
    fn dropped_lease_gives_its_ports_back() {
        let ports = ports();
        let lease = ports.take().unwrap();
        assert_eq!((lease.port(), ports.free()), (10_000, 0));
        assert!(ports.take().is_none());
        drop(lease);
        assert_eq!(ports.free(), 1);
    }

    #[test]
    fn lease_is_not_returned_while_somebody_has_the_lock_and_is_not_lost() {
        let ports = ports();
        let lease = ports.take().unwrap();
        let held = ports.pool.lock().unwrap();
        let lease = lease.try_return().unwrap_err();
        drop(held);
        assert!(lease.try_return().is_ok());
        assert_eq!(ports.free(), 1);
    }
}
