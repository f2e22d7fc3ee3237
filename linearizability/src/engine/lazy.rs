//! Search that places operations only when a return demands it: just-in-time linearization, after Lowe (2017).
//!
//! Returns are taken one after another; each is a *level*. A *configuration* at a level is a state and what was placed of
//! the operations open there. To get past a return, its operation must be placed, after whatever else must come first. So
//! the work is exponential in concurrency at worst, and linear in the length of the history.
//!
//! Two engines walk this graph: [`breadth`] keeps all configurations of one level, which is quick to find that there is no
//! order; [`depth`] follows one configuration and remembers failures, which is quick to find one. Both share the cuts:
//!
//! * A read is placed as soon as it fits.
//! * Of open operations of one class, which behave alike, only the one that returns first is tried.
//! * *Dominance*: a configuration is dropped for another with the same state that has more left to choose from.
//! * *Dead values*: a value is not overwritten while somebody must still see it and nobody can write it again.
//! * *Hiding*: when a write that waits for nothing is placed, any other open write may be said to have come right before it,
//!   where nobody can see it. Such a write is only marked; it may still be placed where it is seen, or, when it returns,
//!   be passed over. A write that is overwritten unseen by another while it is open is therefore never tried.

pub(crate) mod breadth;
pub(crate) mod depth;
mod plan;
mod set;
mod walk;

pub(crate) use walk::Walker;

/// No operation.
const NONE: u32 = u32::MAX;

/// Marks, in a path, an operation that hides before the last write placed.
const HIDDEN: u32 = 1 << 31;

/// Turns a path into an order: what is hidden moves before the write that hides it.
fn reveal(path: &[u32], is_blind_write: impl Fn(u32) -> bool) -> Vec<u32> {
    let mut order: Vec<u32> = Vec::with_capacity(path.len());
    let mut hidden: Vec<(usize, u32)> = Vec::new();
    let mut last_write = 0;
    let mut visible = Vec::with_capacity(path.len());
    for &entry in path {
        if entry & HIDDEN != 0 {
            hidden.push((last_write, entry & !HIDDEN));
        } else {
            if is_blind_write(entry) {
                last_write = visible.len();
            }
            visible.push(entry);
        }
    }
    let mut hidden = hidden.into_iter().peekable();
    for (place, &operation) in visible.iter().enumerate() {
        while let Some((_, before)) = hidden.next_if(|&(at, _)| at == place) {
            order.push(before);
        }
        order.push(operation);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_comes_right_before_the_write_that_hides_it() {
        // Operations 1 and 4 write; 1 hides 7, 4 hides 5 and 6.
        let path = [0, 1, 7 | HIDDEN, 2, 4, 3, 5 | HIDDEN, 6 | HIDDEN];
        let order = reveal(&path, |operation| operation == 1 || operation == 4);
        assert_eq!(order, [0, 7, 1, 2, 5, 6, 4, 3]);
    }
}
