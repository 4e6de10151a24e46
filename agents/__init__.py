"""What keeps and evaluates: the worker and the board on Kafka, and the stock, goals and rules agents."""
