"""The four papers' experiments: framework, shared training code, and a package for each paper."""
