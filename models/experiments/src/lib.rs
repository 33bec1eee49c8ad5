//! Which arm is better, and by how much: assignment, sequential statistics, off-policy estimates, bandits; keeps no data.
