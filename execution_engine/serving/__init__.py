"""How the web server deals with its clients' connections: threads work, waiting for clients is the loop's business."""
