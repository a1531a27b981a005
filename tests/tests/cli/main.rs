//! The `atelier` command as people use it: a farm of its own, requests, files, errors, exit statuses.

mod batch;
mod doctor;
mod eval;
mod farm;
mod home;
mod looking;
mod profiles;
mod refusals;
mod requests;
mod stub;
