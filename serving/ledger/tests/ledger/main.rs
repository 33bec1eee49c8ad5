//! What holders of the books rely on: nothing appears or vanishes, nothing is written twice, every cent of a division is somewhere.

mod arithmetic;
mod books;
