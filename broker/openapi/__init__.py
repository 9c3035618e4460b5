"""What programs can call here, as an OpenAPI document."""
