//! `dayhaul init`: what it needs and what it does.
