"""The HTTP shell: one application, its middleware, its one error envelope, its documentation."""
