"""Does training move the world towards what is easy to predict, where forecasts feed back into it?"""
