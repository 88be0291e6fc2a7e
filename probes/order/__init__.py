"""Which simple reference predictors a head is made of: references, the weights of their mixture, and the verdict."""
