//! Where each id's vector is.

use std::collections::HashMap;

use crate::error::{Error, ErrorKind, Result};

use super::layer::Layer;

/// A vector's layer and row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) layer: u32,
    pub(super) row: u32,
}

/// The place of every vector that is not gone. Memory O(n): made when first needed.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_id: HashMap<u64, Place>,
}

impl Places {
    /// O(n).
    ///
    /// # Errors
    /// `Damaged` when an id occurs twice.
    pub(super) fn of(layers: &[Layer]) -> Result<Self> {
        let mut places = Self::default();
        for (number, layer) in layers.iter().enumerate() {
            places.note(number, layer);
        }
        if places.by_id.len() != layers.iter().map(Layer::len).sum::<usize>() {
            return Err(Error::new(ErrorKind::Damaged, "an id occurs twice"));
        }
        Ok(places)
    }

    /// Notes the rows of a layer that was added or made anew.
    pub(super) fn note(&mut self, number: usize, layer: &Layer) {
        for row in layer.live() {
            let place = Place { layer: number as u32, row: row as u32 };
            self.by_id.insert(layer.id(row), place);
        }
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Place> {
        self.by_id.remove(&id)
    }
}
